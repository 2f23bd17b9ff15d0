// Reads `pages.table`.

import { readFileSync } from 'node:fs';

/** `{ roles, pages: [{ path, status: {role}, controls: [{ kind, name, seen: {role} }] }] }` */
export function readTable() {
  const text = readFileSync(new URL('../pages.table', import.meta.url), 'utf8');
  const lines = text.split('\n').filter((line) => line.trim() && !line.startsWith('#'));
  const [, ...roles] = columns(lines[0]);
  const named = (cells) => Object.fromEntries(roles.map((role, number) => [role, cells[number]]));
  const pages = [];
  for (const line of lines.slice(1)) {
    const cells = columns(line);
    const heads = line.startsWith(' ') ? 2 : 1;
    if (cells.length !== heads + roles.length) throw new Error(`pages.table: ${line}`);
    if (heads === 1) pages.push({ path: cells[0], status: named(cells.slice(1)), controls: [] });
    else pages.at(-1).controls.push({ kind: cells[0], name: cells[1], seen: named(cells.slice(2)) });
  }
  return { roles, pages };
}

/** The path with the ids of a world's things. */
export function filled(path, ids) {
  return path.replace(/\{(\w+)\}/g, (_, name) => ids[name]);
}

function columns(line) {
  return line.trim().split(/\s{2,}/);
}
