// What pages that ask for one thing again and again are made of. Data becomes
// text nodes only, never markup.
export const $ = (id) => document.getElementById(id);

export function cell(kind, text, title) {
  const e = document.createElement(kind);
  e.textContent = text;
  if (title) e.title = title;
  return e;
}

export function tell(e, text) {
  e.textContent = text || '';
  e.hidden = !text;
}

// fill writes rows of cells anew, if they are others than before; a table without
// rows is not shown, what stands for it is.
export function fill(body, rows, none) {
  const now = JSON.stringify(rows);
  if (body.was === now) return;
  body.was = now;
  body.replaceChildren(...rows.map(({ cells, mark }) => {
    const tr = document.createElement('tr');
    if (mark) tr.className = mark;
    tr.append(...cells.map(([text, title]) => cell('td', text, title)));
    return tr;
  }));
  body.parentElement.hidden = rows.length === 0;
  if (none) none.hidden = rows.length > 0;
}

// facts writes names with values, if they are others than before.
export function facts(list, rows) {
  const now = JSON.stringify(rows);
  if (list.was === now) return;
  list.was = now;
  list.replaceChildren(...rows.map(([name, value, title]) => {
    const div = document.createElement('div');
    div.append(cell('dt', name), cell('dd', value, title));
    return div;
  }));
}

// watch asks a path every two seconds and shows what it answers.
export function watch(path, show) {
  async function look() {
    try {
      const r = await fetch(path);
      const answer = await r.json().catch(() => ({ error: `The node does not answer ${path}: ${r.status}.` }));
      if (!r.ok) throw new Error(answer.error);
      tell($('silent'), '');
      document.body.classList.remove('stale');
      show(answer, new Date());
    } catch (e) {
      tell($('silent'), e instanceof TypeError ? 'No word from the node. What you see is how it was; trying again.' : e.message);
      document.body.classList.add('stale');
    }
  }
  look();
  setInterval(() => document.hidden || look(), 2000);
}
