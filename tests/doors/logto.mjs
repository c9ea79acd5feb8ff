// Has Logto's connector of HTTP SMS send messages.
//
//     node tests/doors/logto.mjs CALLS
//
// CALLS is a list in JSON of {config, data}. Prints a list of what became of each: the status that
// it was answered with, or {code, data} of the connector's error.

import createConnector from '@logto/connector-http-sms';

const results = [];
for (const { config, data } of JSON.parse(process.argv[2])) {
  const connector = await createConnector({ getConfig: async () => config });
  try {
    results.push((await connector.sendMessage(data)).statusCode);
  } catch ({ code, data: said }) {
    results.push({ code, data: said });
  }
}
console.log(JSON.stringify(results));
