// Subscribes with the npm client graphql-sse as it comes, in distinct connections mode, and prints what it reports, one
// JSON object a line. Arguments: URL, API key, document, variables as JSON.
import { createClient } from 'graphql-sse';

const [url, key, query, variables] = process.argv.slice(2);
const print = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

const client = createClient({
  url,
  headers: { 'x-api-key': key },
  on: { connected: (reconnected) => print({ connected: { wasRetry: reconnected } }) },
});

client.subscribe(
  { query, variables: JSON.parse(variables) },
  {
    next: (next) => print({ next }),
    error: (error) => print({ error: Array.isArray(error) ? error : String(error.message) }),
    complete: () => print({ complete: true }),
  },
);
