// Subscribes with the npm client graphql-ws as it comes, and prints what it reports, one JSON object a line.
// Arguments: URL, API key, document, variables as JSON.
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';

const [url, key, query, variables] = process.argv.slice(2);
const print = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

const client = createClient({
  url,
  webSocketImpl: WebSocket,
  connectionParams: { 'x-api-key': key },
  on: { connected: (_socket, _payload, wasRetry) => print({ connected: { wasRetry } }) },
});

client.subscribe(
  { query, variables: JSON.parse(variables) },
  {
    next: (next) => print({ next }),
    error: (error) => print({ error: Array.isArray(error) ? error : String(error.message ?? error.reason) }),
    complete: () => print({ complete: true }),
  },
);
