'use strict';

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { after, before, test } = require('node:test');

const { PASSWORD, Server } = require('../javascript/server.js');
const { Browser } = require('./browser.js');
const { CLIENT, SECRET, Issuer } = require('./provider.js');

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cairn-clients-oidc-'));
const running = [];

after(async () => {
  for (const one of running) await one.stop();
  fs.rmSync(folder, { recursive: true });
});

async function freeAddress() {
  const probe = net.createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  return `127.0.0.1:${port}`;
}

// A server with a provider of its own.
async function start({ signUp = 'open', byEmail = false, ...more } = {}) {
  const listen = await freeAddress();
  const issuer = await Issuer.start(`http://${listen}/oidc/callback`, more);
  running.push(issuer);
  const secret = path.join(folder, 'secret');
  fs.writeFileSync(secret, `${SECRET}\n`);
  const server = await Server.start({
    listen,
    config: `
      [accounts]
      sign_up = "${signUp}"
      [oidc]
      name = "Example"
      issuer = "${issuer.url}"
      client_id = "${CLIENT}"
      client_secret_file = "${secret}"
      public_url = "http://${listen}"
      link_by_verified_email = ${byEmail}`,
  });
  running.push(server);
  return { server, issuer };
}

// Signs in at the provider, which a link of the page has led to, and says yes.
async function pass(browser, name) {
  await browser.send({ login: name, password: 'any' });
  while (browser.status === 200 && browser.text.includes('name="prompt"')) await browser.send({});
}

async function signIn(server, name) {
  const browser = new Browser();
  await browser.go(`${server.url}/account`);
  await browser.follow('Sign in with Example');
  await pass(browser, name);
  return browser;
}

let open;
before(async () => { open = await start(); });

test('the first sign-in makes an account, and the next finds it', async () => {
  for (let visit = 0; visit < 2; visit += 1) {
    const browser = await signIn(open.server, 'ada');
    assert.equal(browser.url, `${open.server.url}/account`);
    assert.match(browser.text, /You are signed in as ada@example\.org/);
  }
  const people = open.server.admin('user', 'list').filter(({ email }) => email === 'ada@example.org');
  assert.equal(people.length, 1);
});

test('an app is linked by who signs in there', async () => {
  const browser = new Browser();
  const query = new URLSearchParams({
    response_type: 'code',
    client_id: 'some-app',
    code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
    code_challenge_method: 'S256',
  });
  await browser.go(`${open.server.url}/oauth2/authorize?${query}`);
  await browser.follow('Sign in with Example');
  await pass(browser, 'grace');
  assert.match(browser.text, /You are signed in as grace@example\.org/);
  await browser.send({ action: 'allow' });
  const [, code] = /id="auth-code">([^<]+)</.exec(browser.text);
  const answer = await fetch(`${open.server.url}/oauth2/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'authorization_code',
      client_id: 'some-app',
      code,
      code_verifier: 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk',
    }),
  });
  assert.equal(answer.status, 200, await answer.text());
});

test('a password is chosen, and a device linked with it', async () => {
  const browser = await signIn(open.server, 'joan');
  await browser.send({ password: PASSWORD, action: 'password' });
  assert.match(browser.text, /You are signed in as joan@example\.org/);
  const file = path.join(folder, 'password');
  fs.writeFileSync(file, `${PASSWORD}\n`);
  const words = ['login', open.server.url, '--email', 'joan@example.org', '--password-file', file];
  const home = path.join(folder, 'joan');
  execFileSync(process.env.CAIRN_BIN, words, { env: { ...process.env, CAIRN_HOME: home } });
});

test('an address that is not verified is none', async () => {
  const browser = await signIn(open.server, 'unverified-eve');
  assert.equal(browser.status, 403);
  assert.match(browser.text, /Example does not say that an e-mail address is yours/);
});

test('who says no there is not signed in here', async () => {
  const browser = new Browser();
  await browser.go(`${open.server.url}/account`);
  await browser.follow('Sign in with Example');
  await browser.follow('Cancel');
  assert.equal(browser.status, 403);
  assert.match(browser.text, /Example did not sign you in/);
});

test('an account is connected by its owner', async () => {
  open.server.newAccount('mary@example.org');
  const refused = await signIn(open.server, 'mary');
  assert.match(refused.text, /Sign in with its password/);
  const browser = new Browser();
  await browser.go(`${open.server.url}/account`);
  await browser.send({ email: 'mary@example.org', password: PASSWORD, action: 'sign-in' });
  await browser.send({ action: 'connect' });
  await browser.follow('Go on to Example');
  await pass(browser, 'mary');
  assert.match(browser.text, /You are signed in as mary@example\.org/);
  const later = await signIn(open.server, 'mary');
  assert.match(later.text, /You are signed in as mary@example\.org/);
});

test('an account is disconnected by its owner, once it has a password', async () => {
  const browser = await signIn(open.server, 'hedy');
  await browser.send({ action: 'disconnect' });
  assert.equal(browser.status, 409);
  assert.match(browser.text, /Set a password first/);
  await browser.send({ password: PASSWORD, action: 'password' });
  await browser.send({ action: 'disconnect' });
  assert.match(browser.text, /You are signed in as hedy@example\.org/);
  assert.doesNotMatch(browser.text, /is connected with yours/);
  const later = await signIn(open.server, 'hedy');
  assert.equal(later.status, 403);
  assert.match(later.text, /Sign in with its password/);
});

test('by invitation an account is only found, by its address where that is configured', async () => {
  const closed = await start({ signUp: 'invited', byEmail: true });
  const stranger = await signIn(closed.server, 'eve');
  assert.match(stranger.text, /made by invitation/);
  closed.server.newAccount('ada@example.org');
  const browser = await signIn(closed.server, 'ada');
  assert.match(browser.text, /You are signed in as ada@example\.org/);
});

test('tokens signed by an elliptic curve, and a secret in the body, will do', async () => {
  const { generateKeyPairSync } = require('node:crypto');
  const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
  const other = await start({
    client: { id_token_signed_response_alg: 'ES256', token_endpoint_auth_method: 'client_secret_post' },
    provider: {
      jwks: { keys: [{ ...key, use: 'sig', alg: 'ES256', kid: 'curve' }] },
      clientAuthMethods: ['client_secret_post'],
      // The address in the token itself, as some providers have it.
      conformIdTokenClaims: false,
    },
  });
  const browser = await signIn(other.server, 'ada');
  assert.match(browser.text, /You are signed in as ada@example\.org/);
});

test('a provider that is away is told as such', async () => {
  const lonely = await start();
  await lonely.issuer.stop();
  running.splice(running.indexOf(lonely.issuer), 1);
  const browser = new Browser();
  await browser.go(`${lonely.server.url}/account`);
  await browser.follow('Sign in with Example');
  assert.equal(browser.status, 502);
  assert.match(browser.text, /Example cannot be asked now/);
});
