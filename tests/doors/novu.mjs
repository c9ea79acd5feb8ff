// Has Novu's provider generic-sms send messages.
//
//     node tests/doors/novu.mjs CALLS
//
// CALLS is a list in JSON of {config, options}. Prints a list of what became of each: {id} as the
// provider found it, or {error} with its words and the answer's body.
//
// The provider alone is loaded: the package's index needs the clients of fifty vendors.

const lib = '@novu/providers/build/main/lib';
const { GenericSmsProvider } = await import(`${lib}/generic-sms/generic-sms.provider.js`);

const results = [];
for (const { config, options } of JSON.parse(process.argv[2])) {
  try {
    const { id } = await new GenericSmsProvider(config).sendMessage(options);
    results.push({ id });
  } catch (error) {
    results.push({ error: error.message, body: error.response?.data });
  }
}
console.log(JSON.stringify(results));
