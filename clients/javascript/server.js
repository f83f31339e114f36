'use strict';

// A server of the test's own: the real program on a free port of loopback. `CAIRN_BIN` names it.

const { execFileSync, spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const readline = require('node:readline');

const PASSWORD = 'correct horse battery staple';
// Milliseconds until something that should happen is said not to happen.
const PATIENCE_MS = 60_000;

// What a client's hosts are called; the server answers for all of them.
const HOSTS = /^https:\/\/(api|content|notify)\.dropboxapi\.com/;

class Server {
  // With `config` the server has that text as its configuration; `listen` is an address that is free.
  static async start({ config = '', listen = '127.0.0.1:0' } = {}) {
    const server = new Server();
    server.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cairn-clients-'));
    server.data = path.join(server.folder, 'data');
    server.environment = { ...process.env, CAIRN_HOME: path.join(server.folder, 'home') };
    const log = fs.openSync(path.join(server.folder, 'server.log'), 'a');
    const file = path.join(server.folder, 'server.toml');
    fs.writeFileSync(file, config);
    const words = ['serve', '--data', server.data, '--listen', listen, '--config', file];
    server.process = spawn(process.env.CAIRN_BIN, words, {
      stdio: ['ignore', 'pipe', log],
      env: server.environment,
    });
    fs.closeSync(log);
    // A run that is broken off leaves no server behind.
    for (const signal of ['SIGINT', 'SIGTERM']) {
      process.once(signal, () => {
        server.process.kill('SIGTERM');
        process.exit(1);
      });
    }
    // A failed start closes the stream, and there is no line.
    const lines = readline.createInterface({ input: server.process.stdout });
    const line = await Promise.race([
      once(lines, 'line').then(([text]) => text),
      once(lines, 'close').then(() => ''),
      new Promise((resolve) => setTimeout(resolve, PATIENCE_MS, '').unref()),
    ]);
    const found = / on (http:\/\/\S+)$/.exec(line);
    if (!found) {
      const text = fs.readFileSync(path.join(server.folder, 'server.log'), 'utf8');
      await server.stop();
      throw new Error(`the server does not start:\n${text}`);
    }
    [, server.url] = found;
    return server;
  }

  async stop() {
    if (this.process.exitCode === null) {
      const ended = once(this.process, 'exit');
      this.process.kill('SIGTERM');
      await ended;
    }
    fs.rmSync(this.folder, { recursive: true });
  }

  // Makes an account.
  newAccount(email) {
    const file = path.join(this.folder, 'password');
    fs.writeFileSync(file, `${PASSWORD}\n`);
    this.admin('user', 'add', email, '--password-file', file);
  }

  // Makes a token of an account, with every scope unless some are named.
  newToken(email, ...scopes) {
    return this.admin('token', 'create', email, ...scopes.flatMap((scope) => ['--scope', scope])).token;
  }

  admin(...words) {
    const all = ['admin', ...words, '--data', this.data, '--json'];
    return JSON.parse(execFileSync(process.env.CAIRN_BIN, all, { env: this.environment, stdio: ['ignore', 'pipe', 'pipe'] }));
  }

  // What the SDK is given for `fetch`: it leads here whatever host is asked.
  get fetch() {
    return (url, options) => fetch(String(url).replace(HOSTS, this.url), options);
  }
}

module.exports = { PASSWORD, PATIENCE_MS, Server };
