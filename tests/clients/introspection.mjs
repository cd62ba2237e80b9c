// Sends graphql-js' introspection query by HTTP and over WebSocket, and says whether either answer is the schema of a
// file. Arguments: URL of /graphql, URL of /graphql/ws, API key, file.
import { readFileSync } from 'node:fs';
import { buildClientSchema, buildSchema, getIntrospectionQuery, lexicographicSortSchema, printSchema } from 'graphql';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';

const [http, ws, key, file] = process.argv.slice(2);
const query = getIntrospectionQuery({
  descriptions: true,
  specifiedByUrl: true,
  directiveIsRepeatable: true,
  inputValueDeprecation: true,
});

const byHttp = async () => {
  const headers = { 'content-type': 'application/json', 'x-api-key': key };
  const answer = await fetch(http, { method: 'POST', headers, body: JSON.stringify({ query }) });
  return answer.json();
};

const byWebSocket = () =>
  new Promise((resolve, reject) => {
    const client = createClient({ url: ws, webSocketImpl: WebSocket, connectionParams: { 'x-api-key': key } });
    client.subscribe({ query }, { next: resolve, error: reject, complete: () => {} });
  });

const printed = (schema) => printSchema(lexicographicSortSchema(schema));
const expected = printed(buildSchema(readFileSync(file, 'utf8')));
for (const [transport, ask] of Object.entries({ http: byHttp, ws: byWebSocket })) {
  const { data, errors } = await ask();
  const same = errors === undefined && printed(buildClientSchema(data)) === expected;
  process.stdout.write(`${JSON.stringify({ transport, same, errors })}\n`);
}
