"""Subscribes with the Python client gql as it comes, and prints what it reports, one JSON object a line.

Arguments: URL, API key, document, variables as JSON. The client first fetches the schema over the same socket and
checks the document against it.
"""

import asyncio
import json
import sys

from gql import Client, gql
from gql.transport.exceptions import TransportError, TransportQueryError
from gql.transport.websockets import WebsocketsTransport


def report(**line):
    print(json.dumps(line), flush=True)


async def main(url, key, document, variables):
    transport = WebsocketsTransport(url=url, init_payload={"x-api-key": key})
    request = gql(document)
    request.variable_values = json.loads(variables)
    try:
        async with Client(transport=transport, fetch_schema_from_transport=True) as session:
            report(connected=True)
            async for data in session.subscribe(request):
                report(next={"data": data})
            report(complete=True)
    except TransportQueryError as error:
        report(error=error.errors)
    except TransportError as error:
        report(error=f"{type(error).__name__}: {error}")


asyncio.run(main(*sys.argv[1:]))
