/** Where a generated part of a page written by hand begins and ends. */
export interface Markers {
  readonly begin: string;
  readonly end: string;
}

/** The lines that enclose the generated part of this name. */
export function markersOf(name: string): Markers {
  return { begin: `<!-- generated:${name}:begin -->`, end: `<!-- generated:${name}:end -->` };
}

export function hasMarkers(page: string, { begin, end }: Markers): boolean {
  const at = page.indexOf(begin);
  return at >= 0 && page.indexOf(end) > at;
}

/** The page with `content` between its markers, in place of what stood there. */
export function withPart(page: string, { begin, end }: Markers, content: string): string {
  return `${page.slice(0, page.indexOf(begin) + begin.length)}\n\n${content}\n${page.slice(page.indexOf(end))}`;
}
