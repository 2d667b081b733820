'use strict';
// Reads a list of the inputs of serverless.yml files as JSON, and prints, for each, the paths that make no difference to
// the calls that tencent-component-toolkit would send: it drops what it does not know without a word. A value is changed,
// and what comes out is compared with what came out before, so that nothing here has to know how the toolkit renames a key.

const { formatInputs } = require('tencent-component-toolkit/lib/modules/scf/utils');
const HttpTrigger = require('tencent-component-toolkit/lib/modules/triggers/http').default;
const TimerTrigger = require('tencent-component-toolkit/lib/modules/triggers/timer').default;

// Not the toolkit's: the CLI uploads src, the client is made for a region, tags and the service's role have calls of
// their own.
const ELSEWHERE = new Set(['src', 'region', 'enableRoleAuth', 'tags']);

function calls({ events = [], ...inputs }) {
  const triggers = events.map(({ http, timer }) =>
    new (http ? HttpTrigger : TimerTrigger)({ credentials: {}, region: inputs.region }).formatInputs({
      inputs: { ...(http || timer), functionName: inputs.name, namespace: 'default' },
    }),
  );
  return JSON.stringify([formatInputs(inputs), triggers]);
}

function changed(value, key) {
  if (key === 'type') return value === 'web' ? 'event' : 'web';
  if (typeof value === 'boolean') return !value;
  return typeof value === 'number' ? value + 1 : `${value}-changed`;
}

function* leaves(value, path) {
  if (value === null || typeof value !== 'object') yield path;
  else for (const key of Object.keys(value)) yield* leaves(value[key], [...path, key]);
}

function without(inputs, path) {
  const copy = structuredClone(inputs);
  const last = path[path.length - 1];
  const parent = path.slice(0, -1).reduce((value, key) => value[key], copy);
  parent[last] = changed(parent[last], last);
  return copy;
}

function dropped(inputs) {
  const before = calls(inputs);
  const ignored = [...leaves(inputs, [])].filter(
    (path) => !ELSEWHERE.has(path[0]) && calls(without(inputs, path)) === before,
  );
  return ignored.map((path) => path.join('.'));
}

process.stdout.write(JSON.stringify(JSON.parse(require('fs').readFileSync(0, 'utf8')).map(dropped)));
