// Proof of work: solves the task that a 403 has in its member `challenge`, of the kind "pow", and
// gives the text that goes into the field `proof`. It takes a page with HTTPS, or of this machine:
// elsewhere browsers have no crypto.subtle.
const BATCH = 1000;

export const solve = async ({ algorithm, challenge, maxnumber, salt, signature }) => {
  const text = new TextEncoder(), begins = parseInt(challenge.slice(0, 8), 16);
  // The first four bytes tell: that another number shares them happens once in tens of thousands of
  // tasks.
  const matches = async number => {
    const hash = await crypto.subtle.digest(algorithm, text.encode(salt + number));
    return new DataView(hash).getUint32(0) === begins;
  };
  for (let from = 0; from <= maxnumber; from += BATCH) {
    const numbers = Array.from({ length: BATCH }, (_, index) => from + index);
    const batch = await Promise.all(numbers.map(matches));
    const found = batch.indexOf(true);
    if (found >= 0) {
      const number = from + found;
      return btoa(JSON.stringify({ algorithm, challenge, number, salt, signature }));
    }
  }
  throw new Error("no solution");
};
