// Tencent's demo (Nodejs8.9-SmsVerificationCode) as a process of the benchmarks: `node demo.js DIRECTORY`, a line of
// events in, a line of answers out; with PORT, behind HTTP. Its SMS go to SMS_ENDPOINT, and the connection to Redis that
// it opens for each call is closed after the answer, or Redis would soon accept no more.
'use strict';

const path = require('path');
const { createRequire } = require('module');
const { createServer } = require('http');
const { createInterface } = require('readline');

const { PORT, REDIS_HOST, REDIS_PORT, SMS_ENDPOINT } = process.env;
const load = createRequire(path.resolve(process.argv[2], 'index.js'));

const Redis = load('ioredis');
let opened;
load.cache[load.resolve('ioredis')].exports = function () {
  opened = new Redis({ host: REDIS_HOST, port: Number(REDIS_PORT), family: 4 });
  return opened;
};

const Http = load('tencentcloud-sdk-nodejs/tencentcloud/common/http/http_connection');
const send = Http.doRequest;
Http.doRequest = (method, url, ...rest) => send(method, SMS_ENDPOINT, ...rest);

const { main_handler: handle } = load('./index.js');
const answer = async (event) => {
  opened = undefined;
  const answered = handle(event);  // it has opened its connection, if it needs one, when it first waits
  const connection = opened;
  const text = JSON.stringify(await answered);
  connection?.ping().finally(() => connection.disconnect());  // after the commands that the answer did not wait for
  return text;
};

if (PORT) {
  createServer((request, response) => {
    let body = '';
    request.on('data', (data) => { body += data; });
    request.on('end', async () => {
      const text = await answer({ httpMethod: 'POST', body });
      response.setHeader('Content-Length', Buffer.byteLength(text));
      response.end(text);
    });
  }).listen(Number(PORT), '127.0.0.1');
} else {
  createInterface({ input: process.stdin }).on('line', async (line) => {
    const bodies = [];
    const [cpu, wall] = [process.cpuUsage(), process.hrtime.bigint()];
    for (const event of JSON.parse(line)) bodies.push(await answer(event));
    const seconds = Number(process.hrtime.bigint() - wall) / 1e9;
    const { user, system } = process.cpuUsage(cpu);
    process.stderr.write(`${JSON.stringify([seconds, (user + system) / 1e6, bodies])}\n`);
  });
}
