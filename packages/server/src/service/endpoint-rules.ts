import type { ErrorIssue } from "@strait/contract";
import ipaddr from "ipaddr.js";

const FORBIDDEN_HOSTS: ReadonlySet<string> = new Set(["localhost", "metadata.google.internal"]);

/** All that IPv6 has given to the public. Beside it lie old forms that carry an IPv4 address, such as `::127.0.0.1`. */
const PUBLIC_IPV6 = ipaddr.IPv6.parseCIDR("2000::/3");

/**
 * Whether an address is not on the public internet: loopback, private, link-local, carrier-grade NAT, unique local,
 * multicast, unspecified and reserved ranges. A mapped IPv4 address is unwrapped first. A name is no address.
 */
export function isPrivateAddress(host: string): boolean {
  const text = host.startsWith("[") ? host.slice(1, -1) : host;
  if (!ipaddr.isValid(text)) return false;
  const address = ipaddr.process(text);
  return address.range() !== "unicast" || (address instanceof ipaddr.IPv6 && !address.match(PUBLIC_IPV6));
}

/**
 * Checks a URL that the server is to call. The name is not resolved here: it is when the call is made, and what is dialed
 * is what was checked.
 *
 * @param allowPrivate - Local use and tests; off for a server that others can reach.
 */
export function endpointIssue(field: string, url: string, allowPrivate: boolean): ErrorIssue | undefined {
  const parsed = tryUrl(url);
  if (!parsed || (parsed.protocol !== "http:" && parsed.protocol !== "https:")) {
    return { field, rule: "httpUrl", fix: "send a URL such as https://executor.example.com/jobs/resize" };
  }
  if (parsed.username !== "" || parsed.password !== "") {
    return { field, rule: "noCredentials", fix: "remove user and password; verify the request's signature instead" };
  }
  const host = parsed.hostname.toLowerCase().replace(/\.$/, "");
  if (!allowPrivate && (FORBIDDEN_HOSTS.has(host) || host.endsWith(".localhost") || isPrivateAddress(host))) {
    return {
      field,
      rule: "publicAddress",
      fix: "use a public host; for local development start the server on the loopback address or set STRAIT_ALLOW_PRIVATE_ENDPOINTS=true",
    };
  }
  return undefined;
}

function tryUrl(url: string): URL | undefined {
  try {
    return new URL(url);
  } catch {
    return undefined;
  }
}
