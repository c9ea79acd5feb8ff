// The page of docs/guide/from-meiduo.md's second step: runs its method `send_sms_code` once, and
// prints what the page has then.
//
//     node page.mjs FILE ADDRESS DATA
//
// FILE has the method, ADDRESS is where the page came from, DATA is the page's data as JSON.

import { readFileSync } from 'node:fs';

const [file, address, data] = process.argv.slice(2);
const { fetch } = globalThis;
// Does as a browser does: resolves paths at the page's own address, and says which languages its
// person reads.
globalThis.fetch = (path, { headers, ...options }) => fetch(new URL(path, address), {
  ...options, headers: { 'Accept-Language': 'zh-CN,zh;q=0.9,en;q=0.8', ...headers },
});

const methods = new Function(`return { ${readFileSync(file, 'utf8')} }`)();
const page = {
  check_mobile() {},
  check_image_code() {},
  generate_image_code() { this.pictures += 1; },
  pictures: 0,
  ...JSON.parse(data),
};
await methods.send_sms_code.call(page);
console.log(JSON.stringify(page));
// The countdown goes on for a minute.
process.exit();
