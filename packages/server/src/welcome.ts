/**
 * What a development server says when it is ready: where it is, a key that works, and three things to try.
 *
 * @param dataDir - The folder of the embedded database; undefined where it has another.
 */
export function welcome(url: string, apiKey: string, dataDir: string | undefined): string {
  const where = dataDir === undefined ? "the database of DATABASE_URL" : dataDir;
  const auth = `-H "Authorization: Bearer ${apiKey}"`;
  const json = '-H "Content-Type: application/json"';
  return `
  Strait is ready at ${url}
  API key            ${apiKey}

  Try:
    curl ${url}/v1/jobs ${auth}

    curl -X POST ${url}/v1/events/hello:world/send ${auth} \\
      ${json} -d '{"payload": {"approved": true}}'

    curl "${url}/v1/events?status=waiting" ${auth}

  Stop with Ctrl+C. The data stays in ${where} for the next start.

`;
}
