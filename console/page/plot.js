// A plot of two directions around one line: downlink above, uplink below, in
// the same scale. It is drawn in SVG from rates a second apart.

const svg = 'http://www.w3.org/2000/svg';
const points = 120;

function node(name, attributes, ...children) {
  const e = document.createElementNS(svg, name);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  e.append(...children);
  return e;
}

// nice is the next of 1, 2, 5 times a power of ten.
export function nice(v) {
  if (v <= 1000) return 1000;
  const ten = 10 ** Math.floor(Math.log10(v));
  return [1, 2, 5, 10].map((f) => f * ten).find((x) => x >= v);
}

// Plot fills a box; labels says how its scale is written, or is missing.
export class Plot {
  constructor(box, { width = 600, height = 150, labels = null, name = '' } = {}) {
    this.width = width;
    this.height = height;
    this.labels = labels;
    const drawing = node('g', {});
    this.paths = {};
    for (const d of ['dl', 'ul']) {
      this.paths[d] = { area: node('path', { class: 'area ' + d }), line: node('path', { class: 'line ' + d }) };
      drawing.append(this.paths[d].area, this.paths[d].line);
    }
    this.zero = node('line', { class: 'zero', x1: 0, x2: width });
    this.svg = node('svg', { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: 'none', role: 'img' }, drawing, this.zero);
    this.svg.setAttribute('aria-label', name);
    box.append(this.svg);
    if (labels) {
      this.top = document.createElement('span');
      this.bottom = document.createElement('span');
      this.top.className = 'scale dl';
      this.bottom.className = 'scale ul';
      box.append(this.top, this.bottom);
    }
  }

  update({ dl, ul }) {
    const most = { dl: Math.max(0, ...dl), ul: Math.max(0, ...ul) };
    let up = nice(most.dl), down = nice(most.ul);
    up = Math.max(up, down / 4);
    down = Math.max(down, up / 4);
    const unit = (this.height - 2) / (up + down);
    const zero = 1 + up * unit;
    this.draw('dl', dl, zero, -unit);
    this.draw('ul', ul, zero, unit);
    this.zero.setAttribute('y1', zero);
    this.zero.setAttribute('y2', zero);
    if (this.labels) {
      this.top.textContent = this.labels(up);
      this.bottom.textContent = this.labels(down);
    }
  }

  draw(direction, row, zero, unit) {
    const step = this.width / (points - 1);
    const first = points - row.length;
    const { area, line } = this.paths[direction];
    if (row.length === 0) {
      area.removeAttribute('d');
      line.removeAttribute('d');
      return;
    }
    const at = row.map((v, i) => `${((first + i) * step).toFixed(1)} ${(zero + v * unit).toFixed(1)}`);
    // where nothing moved, there is no line but that of zero
    line.setAttribute('d', at.map((p, i) => (i > 0 && (row[i] > 0 || row[i - 1] > 0) ? 'L' : 'M') + p).join(''));
    area.setAttribute('d', `M${at.join('L')}L${this.width} ${zero.toFixed(1)}L${(first * step).toFixed(1)} ${zero.toFixed(1)}Z`);
  }
}
