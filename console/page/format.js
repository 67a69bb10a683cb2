// Numbers as people read them. Every function is pure.

const thin = '\u202f'; // narrow no-break space

// group writes an integer (number, BigInt or its digits) in threes.
export function group(n) {
  return String(n).replace(/\B(?=(\d{3})+(?!\d))/g, thin);
}

// bytes gives three digits and a decimal unit: prices are per 10^9.
export function bytes(n) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let i = 0;
  while (n >= 999.5 && i < units.length - 1) { n /= 1000; i++; }
  const digits = i === 0 ? 0 : n < 9.995 ? 2 : n < 99.95 ? 1 : 0;
  return n.toFixed(digits) + '\u00a0' + units[i];
}

// bits gives a rate over the air.
// minutes of voice: minutes and seconds.
export const minutes = (ms) => `${group(Math.floor(ms / 60_000))} min ${Math.floor(ms / 1000) % 60} s`;

export const bits = (n) => bytes(n).replace('B', 'bit/s');

export const rate = (n) => bytes(n) + '/s';

export const octets = (n) => group(n) + ' octets';

// bell turns abell digits (10^18 are one BELL) into BELL, rounded down: four
// digits, more where the first of them are zeros.
export function bell(abell) {
  const one = 10n ** 18n;
  const v = BigInt(abell);
  const whole = v / one;
  const rest = (v % one).toString().padStart(18, '0');
  let digits = 4;
  if (whole >= 1000n) digits = 2;
  if (whole === 0n && v > 0n) digits = Math.min(18, Math.max(4, rest.search(/[1-9]/) + 3));
  const shown = rest.slice(0, digits).replace(/0+$/, '');
  return group(whole) + (shown ? '.' + shown : '') + '\u00a0BELL';
}

export const abell = (s) => group(s) + ' abell';

// share is a of b as a number from 0 to 1, of digits.
export function share(a, b) {
  const whole = BigInt(b);
  if (whole <= 0n) return 0;
  const part = (BigInt(a) * 10000n) / whole;
  return Math.min(1, Number(part) / 10000);
}

export function known(time) {
  return Boolean(time) && !time.startsWith('0001-');
}

export function clock(time) {
  return new Date(time).toLocaleTimeString('en-GB', { hour12: false });
}

export const moment = (time) => new Date(time).toLocaleString('en-GB', { hour12: false });

// span is the time from a to b in one or two units.
export function span(a, b) {
  let s = Math.max(0, Math.round((new Date(b) - new Date(a)) / 1000));
  if (s < 60) return s + '\u00a0s';
  const m = Math.floor(s / 60);
  if (m < 60) return m + '\u00a0min';
  const h = Math.floor(m / 60);
  if (h < 48) return h + '\u00a0h ' + (m % 60) + '\u00a0min';
  return Math.floor(h / 24) + '\u00a0days';
}

export const many = (n, one, more) => group(n) + '\u00a0' + (n === 1 ? one : more);
