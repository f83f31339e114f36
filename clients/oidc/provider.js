'use strict';

// A certified OpenID provider on a free port of loopback. Its own pages let anybody sign in under any name; whoever is called
// "unverified-..." has an address that nobody has verified.

const { once } = require('node:events');
const http = require('node:http');
const path = require('node:path');
const { pathToFileURL } = require('node:url');

const CLIENT = 'cairn';
const SECRET = 'a secret of the test, with = and + and / in it';

async function load() {
  // It is a module of the newer kind, which looks for nothing in NODE_PATH.
  const file = path.join(process.env.NODE_PATH, 'oidc-provider', 'lib', 'index.js');
  return import(pathToFileURL(file).href);
}

class Issuer {
  // `callback` is where people are sent back to; `more` are settings of the provider.
  static async start(callback, more = {}) {
    const { Provider } = await load();
    const issuer = new Issuer();
    issuer.http = http.createServer((request, response) => issuer.handle(request, response));
    issuer.http.listen(0, '127.0.0.1');
    await once(issuer.http, 'listening');
    issuer.url = `http://127.0.0.1:${issuer.http.address().port}`;
    const provider = new Provider(issuer.url, {
      clients: [{ client_id: CLIENT, client_secret: SECRET, redirect_uris: [callback], ...more.client }],
      claims: { openid: ['sub'], email: ['email', 'email_verified'] },
      findAccount: (_, id) => ({
        accountId: id,
        claims: () => ({
          sub: id,
          email: `${id.replace('unverified-', '')}@example.org`,
          email_verified: !id.startsWith('unverified-'),
        }),
      }),
      cookies: { keys: ['a key of the test'] },
      ...more.provider,
    });
    issuer.handle = provider.callback();
    return issuer;
  }

  async stop() {
    const closed = once(this.http, 'close');
    this.http.close();
    this.http.closeAllConnections();
    await closed;
  }
}

module.exports = { CLIENT, SECRET, Issuer };
