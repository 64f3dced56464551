// Loaded before the sample: requests to the guide's host go to the server at STRAIT_URL instead.

const GUIDE = "https://strait.dev";
const { STRAIT_URL = "" } = process.env;
const real = globalThis.fetch;

globalThis.fetch = (input, init) => {
  const url = String(input);
  if (!url.startsWith(`${GUIDE}/`)) throw new Error(`the sample calls ${url}`);
  return real(STRAIT_URL + url.slice(GUIDE.length), init);
};
