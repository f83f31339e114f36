'use strict';

const assert = require('node:assert/strict');
const { createHash, randomBytes, webcrypto } = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { after, before, beforeEach, test } = require('node:test');

// The SDK asks for a newer Node.js than Debian has, and misses nothing there but this.
globalThis.crypto ??= webcrypto;

const { Dropbox, DropboxAuth, DropboxResponseError, bytesUpload, downloadFile, uploadFile } = require('dropbox');

const { PASSWORD, PATIENCE_MS, Server } = require('./server.js');

const BLOCK = 4 << 20;

let server;
let email;
let client;
let accounts = 0;

before(async () => { server = await Server.start(); });
after(() => server && server.stop());
beforeEach(() => {
  accounts += 1;
  email = `person${accounts}@example.org`;
  server.newAccount(email);
  client = connect(server.newToken(email));
});

function connect(accessToken, more = {}) {
  return new Dropbox({ accessToken, fetch: server.fetch, ...more });
}

function contentHash(bytes) {
  const whole = createHash('sha256');
  for (let at = 0; at < bytes.length; at += BLOCK) {
    whole.update(createHash('sha256').update(bytes.subarray(at, at + BLOCK)).digest());
  }
  return whole.digest('hex');
}

// What a call is answered with instead of a result.
async function refusal(status, call) {
  const error = await call.then(() => assert.fail('it was not refused'), (reason) => reason);
  assert.ok(error instanceof DropboxResponseError, String(error));
  assert.equal(error.status, status);
  return error.error;
}

async function put(name, contents, more = {}) {
  return (await client.filesUpload({ path: name, contents, ...more })).result;
}

async function content(name) {
  return (await client.filesDownload({ path: name })).result.fileBinary;
}

async function tree() {
  const { result } = await client.filesListFolder({ path: '', recursive: true });
  assert.equal(result.has_more, false);
  return result.entries.map((entry) => `${entry['.tag']} ${entry.path_display}`).sort();
}

test('the account and its space', async () => {
  const account = (await client.usersGetCurrentAccount()).result;
  assert.equal(account.email, email);
  assert.equal(account.root_info['.tag'], 'user');
  const space = (await client.usersGetSpaceUsage()).result;
  assert.equal(space.used, 0);
  assert.equal(space.allocation['.tag'], 'individual');
  assert.equal((await client.checkUser({ query: 'é' })).result.result, 'é');
});

test('files go up and come down', async () => {
  for (const [name, bytes] of [['/Ordner/é 🎉.txt', Buffer.from('hello')], ['/empty', Buffer.alloc(0)]]) {
    const uploaded = await put(name, bytes);
    assert.equal(uploaded.path_display, name);
    assert.equal(uploaded.size, bytes.length);
    const found = (await client.filesDownload({ path: name })).result;
    assert.equal(found.rev, uploaded.rev);
    assert.equal(found.name, path.basename(name));
    assert.deepEqual(found.fileBinary, bytes);
  }
  assert.deepEqual(await tree(), ['file /Ordner/é 🎉.txt', 'file /empty', 'folder /Ordner']);
});

test('write modes are strings or objects', async () => {
  const first = await put('/a', 'one');
  const second = await put('/a', 'two', { mode: 'overwrite' });
  assert.equal(second.id, first.id);
  const third = await put('/a', 'three', { mode: { '.tag': 'update', update: second.rev } });
  assert.notEqual(third.rev, second.rev);
  const late = put('/a', 'late', { mode: { '.tag': 'update', update: second.rev } });
  const error = await refusal(409, late);
  assert.match(error.error_summary, /^path\/conflict\/file\//);
  assert.equal(error.error['.tag'], 'path');
  assert.equal(error.error.reason['.tag'], 'conflict');
  assert.equal(error.error.reason.conflict['.tag'], 'file');
  assert.equal((await put('/a', 'late', { autorename: true })).name, 'a (1)');
});

test('listings and the changes after them', async () => {
  await put('/a/b', 'x');
  const first = (await client.filesListFolder({ path: '', recursive: true, limit: 1 })).result;
  const names = first.entries.map((entry) => entry.path_lower);
  let { cursor } = first;
  for (let more = first.has_more; more;) {
    const page = (await client.filesListFolderContinue({ cursor })).result;
    names.push(...page.entries.map((entry) => entry.path_lower));
    ({ cursor } = page);
    more = page.has_more;
  }
  assert.deepEqual(names, ['/a', '/a/b']);
  const wait = client.filesListFolderLongpoll({ cursor });
  await client.filesDeleteV2({ path: '/a/b' });
  assert.equal((await wait).result.changes, true);
  const news = (await client.filesListFolderContinue({ cursor })).result.entries;
  assert.deepEqual(news.map((entry) => [entry['.tag'], entry.path_lower]), [['deleted', '/a/b']]);
});

test('folders are made, moved, copied and deleted', async () => {
  const made = (await client.filesCreateFolderV2({ path: '/Folder/Below' })).result.metadata;
  assert.equal(made.path_display, '/Folder/Below');
  const file = await put('/Folder/file', 'x');
  const moved = (await client.filesMoveV2({ from_path: '/folder', to_path: '/Moved' })).result.metadata;
  assert.equal(moved['.tag'], 'folder');
  assert.equal((await client.filesGetMetadata({ path: file.id })).result.path_display, '/Moved/file');
  const copy = (await client.filesCopyV2({ from_path: file.id, to_path: '/copy' })).result.metadata;
  assert.notEqual(copy.id, file.id);
  const gone = (await client.filesDeleteV2({ path: '/moved' })).result.metadata;
  assert.equal(gone['.tag'], 'folder');
  assert.deepEqual(await tree(), ['file /copy']);
});

test('batches are done when they answer', async () => {
  const made = (await client.filesCreateFolderBatch({ paths: ['/a', '/b//c'] })).result;
  assert.equal(made['.tag'], 'complete');
  assert.deepEqual(made.entries.map((entry) => entry['.tag']), ['success', 'failure']);
  const entries = [{ from_path: '/a', to_path: '/b' }, { from_path: '/none', to_path: '/c' }];
  const moved = (await client.filesMoveBatchV2({ entries })).result;
  assert.equal(moved.entries[0].success.path_display, '/b');
  assert.equal(moved.entries[1].failure.relocation_error.from_lookup['.tag'], 'not_found');
  const gone = (await client.filesDeleteBatch({ entries: [{ path: '/b' }] })).result;
  assert.equal(gone.entries[0].metadata.path_display, '/b');
});

test('earlier states are listed and brought back', async () => {
  const first = await put('/a', 'one');
  const second = await put('/a', 'two', { mode: 'overwrite' });
  const revisions = (await client.filesListRevisions({ path: '/a' })).result.entries;
  assert.deepEqual(revisions.map((entry) => entry.rev), [second.rev, first.rev]);
  await client.filesRestore({ path: '/a', rev: first.rev });
  assert.equal(String(await content('/a')), 'one');
});

test('errors have their shapes', async () => {
  let error = await refusal(409, client.filesGetMetadata({ path: '/none' }));
  assert.match(error.error_summary, /^path\/not_found\/\.+$/);
  assert.deepEqual(error.error, { '.tag': 'path', path: { '.tag': 'not_found' } });
  await client.filesCreateFolderV2({ path: '/folder' });
  error = await refusal(409, client.filesDownload({ path: '/folder' }));
  assert.equal(error.error.path['.tag'], 'not_file');
  assert.equal(typeof await refusal(400, client.sharingListFolders({})), 'string');
  assert.equal(typeof await refusal(400, client.filesGetMetadata({ path: 'no slash' })), 'string');
  error = await refusal(401, connect(`cairn_${'0'.repeat(64)}`).usersGetCurrentAccount());
  assert.equal(error.error['.tag'], 'invalid_access_token');
  const reader = connect(server.newToken(email, 'files.metadata.read'));
  error = await refusal(401, reader.filesUpload({ path: '/a', contents: 'x' }));
  assert.deepEqual(error.error, { '.tag': 'missing_scope', required_scope: 'files.content.write' });
  const elsewhere = connect(server.newToken(email), { pathRoot: '{".tag":"root","root":"4711000"}' });
  error = await refusal(422, elsewhere.filesListFolder({ path: '' }));
  assert.equal(error.error['.tag'], 'invalid_root');
});

test('a session is sent in pieces', async () => {
  const bytes = randomBytes(BLOCK + 5);
  const { session_id: session } = (await client.filesUploadSessionStart({ contents: bytes.subarray(0, 1000) })).result;
  const append = (offset) => client.filesUploadSessionAppendV2({
    cursor: { session_id: session, offset },
    contents: bytes.subarray(1000, BLOCK),
  });
  const { error } = await refusal(409, append(999));
  assert.deepEqual(error, { '.tag': 'incorrect_offset', correct_offset: 1000 });
  await append(1000);
  const { result } = await client.filesUploadSessionFinish({
    cursor: { session_id: session, offset: BLOCK },
    commit: { path: '/file' },
    contents: bytes.subarray(BLOCK),
  });
  assert.equal(result.content_hash, contentHash(bytes));
  assert.deepEqual(await content('/file'), bytes);
});

test('the SDK sends and fetches large files by itself', async () => {
  const bytes = randomBytes(5 * BLOCK + 7);
  for (const parallelUploads of [1, 4]) {
    const name = `/by ${parallelUploads}`;
    const { metadata } = await uploadFile(client, bytesUpload(bytes), { path: name }, { parallelUploads });
    assert.equal(metadata.content_hash, contentHash(bytes));
    const local = path.join(server.folder, `fetched by ${parallelUploads}`);
    await downloadFile(client, name, local);
    assert.deepEqual(fs.readFileSync(local), bytes);
  }
});

test('an app is linked by PKCE and its token is renewed', async () => {
  const auth = new DropboxAuth({ clientId: 'an-app-of-nobody', fetch: server.fetch });
  const scopes = ['account_info.read', 'files.metadata.read'];
  const asked = await auth.getAuthenticationUrl(undefined, undefined, 'code', 'offline', scopes, 'none', true);
  const url = new URL(asked);
  const { access_token: token, refresh_token: refresh } = await linked(auth, `${server.url}${url.pathname}${url.search}`);
  assert.equal((await connect(token).usersGetCurrentAccount()).result.email, email);
  const expired = { clientId: 'an-app-of-nobody', refreshToken: refresh, accessTokenExpiresAt: new Date(0) };
  const renewed = connect(token, expired);
  assert.equal((await renewed.usersGetCurrentAccount()).result.email, email);
  assert.notEqual(renewed.auth.getAccessToken(), token);
  await renewed.authTokenRevoke();
  await refusal(401, renewed.usersGetCurrentAccount());
});

// Opens the page as a person does, signs in, allows it, and trades the code that is shown.
async function linked(auth, url) {
  let cookie = '';
  async function page(to, fields) {
    const body = fields && new URLSearchParams(fields);
    const answer = await fetch(to, {
      method: fields ? 'POST' : 'GET',
      body,
      headers: { cookie },
      redirect: 'manual',
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    const set = answer.headers.get('set-cookie');
    if (set) [cookie] = set.split(';');
    const location = answer.headers.get('location');
    return location ? page(new URL(location, url)) : answer.text();
  }
  const token = (text) => /name="form_token" value="([^"]*)"/.exec(text)[1];
  const signIn = token(await page(url));
  const consent = await page(url, { form_token: signIn, action: 'sign-in', email, password: PASSWORD });
  const shown = await page(url, { form_token: token(consent), action: 'allow' });
  const [, code] = /id="auth-code">([^<]*)</.exec(shown);
  return (await auth.getAccessTokenFromCode(undefined, code)).result;
}
