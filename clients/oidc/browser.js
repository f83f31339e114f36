'use strict';

// A browser as forms need one: it keeps the cookies of each host, follows redirects, and sends the forms of pages.

const MOST_STEPS = 20;

function unescape(text) {
  return text.replace(/&quot;/g, '"').replace(/&#39;/g, "'").replace(/&lt;/g, '<').replace(/&gt;/g, '>').replace(/&amp;/g, '&');
}

function attributes(tag) {
  const found = {};
  for (const [, name, plain, quoted] of tag.matchAll(/([\w-]+)(?:=("([^"]*)"|[^\s>]+))?/g)) {
    found[name.toLowerCase()] = unescape(quoted ?? plain ?? '');
  }
  return found;
}

class Browser {
  #jars = new Map();

  #jar(url) {
    const { host } = new URL(url);
    if (!this.#jars.has(host)) this.#jars.set(host, new Map());
    return this.#jars.get(host);
  }

  // Goes to an address, and on to wherever that leads.
  async go(url, body) {
    for (let step = 0; step < MOST_STEPS; step += 1) {
      const jar = this.#jar(url);
      const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
      const answer = await fetch(url, {
        method: body ? 'POST' : 'GET',
        body,
        redirect: 'manual',
        headers: cookie ? { cookie } : {},
      });
      for (const line of answer.headers.getSetCookie()) {
        const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
        if (value) jar.set(name, value);
        else jar.delete(name);
      }
      const location = answer.headers.get('location');
      if (!location) {
        this.url = url;
        this.status = answer.status;
        this.text = await answer.text();
        return this.text;
      }
      url = new URL(location, url).href;
      body = undefined;
    }
    throw new Error(`redirects without end, at last to ${url}`);
  }

  // Sends the page's form that has all of `fields`, or its first one, with them filled in.
  async send(fields) {
    const forms = [...this.text.matchAll(/<form([^>]*)>([\s\S]*?)<\/form>/g)];
    const names = Object.keys(fields);
    const form = forms.find(([, , inner]) => names.every((name) => inner.includes(`name="${name}"`))) ?? forms[0];
    const values = new URLSearchParams();
    for (const [, tag] of form[2].matchAll(/<input([^>]*)>/g)) {
      const { name, value = '' } = attributes(tag);
      if (name) values.set(name, value);
    }
    for (const [name, value] of Object.entries(fields)) values.set(name, value);
    return this.go(new URL(attributes(form[1]).action, this.url).href, values);
  }

  // Follows the page's link of this text.
  async follow(text) {
    const links = [...this.text.matchAll(/<a([^>]*)>([^<]*)<\/a>/g)];
    const link = links.find(([, , shown]) => unescape(shown).includes(text));
    if (!link) throw new Error(`no link "${text}" in ${this.text}`);
    return this.go(new URL(attributes(link[1]).href, this.url).href);
  }
}

module.exports = { Browser };
