/** Takes the value of `?token=` out of a text: the credential that a browser's EventSource puts into the URL. */
export function stripToken(text: string): string {
  return text.replace(/([?&]token=)[^&#\s"']+/g, "$1[redacted]");
}
