/** A link of a page: where it stands (1 is the first line), and what it points to as written. */
export interface Link {
  readonly line: number;
  readonly target: string;
}

/** TypeScript that stands in a page. `source` begins with blank lines, so that its line numbers are the page's. */
export interface Program {
  readonly line: number;
  readonly source: string;
}

interface Line {
  readonly text: string;
  readonly number: number;
  /** The words after the opening fence when the line is code, such as `ts continued`; undefined in prose. */
  readonly fence: string | undefined;
  readonly isFence: boolean;
}

/** Finds inline links, images and reference definitions; code is not searched. */
export function linksOf(page: string): Link[] {
  return linesOf(page)
    .filter((line) => line.fence === undefined && !line.isFence)
    .flatMap(({ text, number }) => {
      const prose = text.replace(/`[^`]*`/g, "");
      const inline = [...prose.matchAll(/\]\(\s*<?([^)\s>]+)/g)];
      const reference = [...prose.matchAll(/^\s*\[[^\]]+\]:\s+<?([^\s>]+)/g)];
      return [...inline, ...reference].map(([, target = ""]) => ({ line: number, target }));
    });
}

/** The anchors that a page's headings have on GitHub: `#the-second` for "The second", `#the-second-1` when it recurs. */
export function anchorsOf(page: string): Set<string> {
  const anchors = new Set<string>();
  for (const { text, fence } of linesOf(page)) {
    const heading = fence === undefined && /^#{1,6}\s+(.*?)\s*#*$/.exec(text);
    if (heading) {
      const slug = slugOf(heading[1] ?? "");
      let anchor = slug;
      for (let count = 1; anchors.has(anchor); count++) anchor = `${slug}-${count}`;
      anchors.add(anchor);
    }
    for (const [, id = ""] of text.matchAll(/<a\s+(?:id|name)="([^"]+)"/g)) anchors.add(id);
  }
  return anchors;
}

function slugOf(heading: string): string {
  const text = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1");
  return text
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, "")
    .replace(/\s/g, "-");
}

/** Finds the ```ts blocks; a ```ts continued block is part of the program before it. */
export function programsOf(page: string): Program[] {
  const programs: { line: number; lines: string[] }[] = [];
  for (const { text, number, fence, isFence } of linesOf(page)) {
    const [language, mode] = fence?.split(/\s+/) ?? [];
    if (language !== "ts") continue;
    if (isFence && (mode !== "continued" || programs.length === 0)) programs.push({ line: number, lines: [] });
    const program = programs.at(-1);
    if (isFence || !program) continue;
    program.lines[number - 1] = text;
  }
  return programs.map(({ line, lines }) => ({ line, source: Array.from(lines, (text) => text ?? "").join("\n") }));
}

/** Splits a page into lines and tells code from prose. The opening fence is marked as code, the closing one is not. */
function linesOf(page: string): Line[] {
  let open: { mark: string; words: string } | undefined;
  return page.split("\n").map((text, index) => {
    const [, mark = "", words = ""] = /^\s*(`{3,}|~{3,})\s*(.*)$/.exec(text) ?? [];
    const line = { text, number: index + 1 };
    if (!open && mark) {
      open = { mark, words };
      return { ...line, fence: words, isFence: true };
    }
    if (open && mark.startsWith(open.mark) && words === "") {
      open = undefined;
      return { ...line, fence: undefined, isFence: true };
    }
    return { ...line, fence: open?.words, isFence: false };
  });
}
