// The page: takes snapshots from /api/events and writes them into the
// document. Data becomes text nodes only, never markup.
import { Plot } from './plot.js';
import { abell, bell, bits, bytes, clock, group, known, many, minutes, moment, octets, rate, share, span } from './format.js';

const $ = (id) => document.getElementById(id);

// make builds an element from 'tag.class.class' and its children.
function make(kind, ...children) {
  const [tag, ...classes] = kind.split('.');
  const e = document.createElement(tag);
  e.classList.add(...classes);
  e.append(...children);
  return e;
}

// put writes text, and a title, only where it has changed: selections and
// tooltips survive.
function put(e, text, title) {
  if (e.textContent !== text) e.textContent = text;
  if (title !== undefined && e.title !== title) e.title = title;
  return e;
}

function tell(e, text) {
  put(e, text || '');
  e.hidden = !text;
}

const putBytes = (e, n) => put(e, bytes(n), octets(n));
const putBell = (e, n) => put(e, bell(n), abell(n));

// each keeps one view per item, in the items' order.
function each(box, items, key, view) {
  const had = box.views ?? new Map();
  const now = new Map();
  let place = box.firstElementChild;
  for (const item of items) {
    const k = key(item);
    const v = had.get(k) ?? view();
    now.set(k, v);
    v.update(item);
    if (v.root === place) place = place.nextElementSibling;
    else box.insertBefore(v.root, place);
  }
  for (const [k, v] of had) if (now.get(k) !== v) v.root.remove();
  box.views = now;
}

function ask(note, label) {
  const b = make('button.ask', '?');
  b.setAttribute('popovertarget', note);
  b.setAttribute('aria-label', label);
  return b;
}

// bar is a measure with parts laid over each other; CSSOM widths, so that the
// page needs no inline styles.
function bar(...names) {
  const parts = names.map((n) => make('span.part.' + n));
  const root = make('div.bar', ...parts);
  return { root, set: (...shares) => parts.forEach((p, i) => { p.style.width = (100 * shares[i]).toFixed(2) + '%'; }) };
}

// fact is a name with a value beside it.
function fact(name) {
  const value = make('dd');
  return { root: make('div', make('dt', name), value), value };
}

function towerView() {
  const dot = make('i.dot'), name = make('h3'), air = make('span.air');
  const meta = { key: fact('key'), enb: fact('eNB'), cell: fact('cell'), price: fact('price'), radio: fact('radio'), told: fact('on the ledger') };
  const notice = make('p.notice');
  const n = {};
  for (const k of ['gul', 'tul', 'gdl', 'tdl', 'counted', 'voice', 'messages']) n[k] = make('td');
  const voice = make('tr', make('th', 'calls'), n.voice), messages = make('tr', make('th', 'messages'), n.messages);
  const table = make('table.counts',
    make('thead', make('tr', make('th', 'bytes ', ask('note-counts', 'What counts?')), make('th', 'gateway counted'), make('th', 'tower counted'))),
    make('tbody',
      make('tr.ul', make('th', '↑ up'), n.gul, n.tul),
      make('tr.dl', make('th', '↓ down'), n.gdl, n.tdl),
      make('tr.total', make('th', 'counts'), n.counted), voice, messages));
  for (const cell of [n.counted, n.voice, n.messages]) cell.colSpan = 2;
  n.gul.classList.add('counts-here');
  n.tdl.classList.add('counts-here');
  const lagBar = bar('lag'), lag = make('span.val'), voucher = make('p.voucher');
  const chanBar = bar('promised', 'paid'), chan = make('span.val'), paid = make('span'), promised = make('span'), reserve = make('span');
  const chanBox = make('div.measure', make('p.label', make('span', 'Channel ', ask('note-channel', 'What is a channel?')), chan), chanBar.root,
    make('p.legend', make('span.key.paid', 'paid ', paid), make('span.key.promised', 'promised ', promised), make('span.key', 'reserve ', reserve)));
  const noChan = make('p.quiet', 'No channel: the operator has locked up nothing for this tower, so it serves to its window and stops.');
  const root = make('article.panel.tower',
    make('div.title', dot, name, air), make('dl.meta', ...Object.values(meta).map((f) => f.root)), notice,
    make('div.account', table, make('div.measures',
      make('div.measure', make('p.label', make('span', 'Vouchers lag ', ask('note-lag', 'What is the window?')), lag), lagBar.root, voucher), chanBox, noChan)));

  function update(t) {
    const a = t.tally, ch = t.channel;
    put(name, t.name || 'unnamed tower');
    const serving = t.on_air && !t.notice;
    dot.className = 'dot ' + (serving ? 'good' : t.on_air ? 'warn' : 'off');
    const since = known(t.since) ? ' for ' + span(t.since, latest) : '';
    put(air, t.on_air ? `on air${since} · ${many(t.phones, 'phone', 'phones')}` : 'not on air' + since, known(t.since) ? 'since ' + moment(t.since) : '');
    put(meta.key.value, t.key.slice(0, 8), t.key);
    put(meta.enb.value, t.enb || '–');
    put(meta.cell.value, (t.cells ?? []).join(', ') || '–');
    put(meta.price.value, `${bell(t.price_per_gb)} per GB, ${bell(t.price_per_minute)} a minute, ${bell(t.price_per_message)} a message`, `${abell(t.price_per_gb)} per 10⁹ octets`);
    const r = t.radio;
    meta.radio.root.hidden = !r;
    if (r) {
      put(meta.radio.value, [r.state + ' for ' + span(r.since, latest), many(r.users, 'phone', 'phones'), `↓ ${bits(r.dl)} ↑ ${bits(r.ul)}`, r.restarts > 0 && many(r.restarts, 'restart', 'restarts')].filter(Boolean).join(' · '), r.last_error);
    }
    meta.told.root.hidden = !t.told;
    if (t.told) put(meta.told.value, `${t.told.state} since ${moment(t.told.since)} · said ${span(t.told.at, latest)} ago`, 'signed by the tower’s key; it proves that the tower said so, not that it is so');
    const why = [!t.on_air && (t.reason || 'its eNB has not connected yet'), t.notice, r && r.state !== 'running' && r.last_error && `the radio: ${r.last_error}`, t.on_air && !t.linked && 'no count from the tower: its agent is not connected', a.trouble,
      t.self && 'Owner and operator are one: paid between own pockets.'];
    tell(notice, why.filter(Boolean).join(' · '));
    notice.classList.toggle('calm', !t.notice && !a.trouble && t.on_air && t.linked);
    putBytes(n.gul, a.gateway.ul); putBytes(n.tul, a.tower.ul);
    putBytes(n.gdl, a.gateway.dl); putBytes(n.tdl, a.tower.dl);
    putBytes(n.counted, a.counted);
    voice.hidden = a.voice_ms === 0;
    put(n.voice, minutes(a.voice_ms), `${group(a.voice_ms)} ms`);
    messages.hidden = a.messages === 0;
    put(n.messages, group(a.messages));
    const part = a.window > 0 ? a.lag / a.window : 0;
    put(lag, `${bytes(a.lag)} of ${bytes(a.window)}`, `${octets(a.lag)} are in no voucher yet; the tower stops at ${octets(a.window)}`);
    lagBar.set(Math.min(1, part));
    lagBar.root.dataset.level = part >= 1 ? 'bad' : part >= 0.75 ? 'warn' : 'good';
    put(voucher, a.seq === 0 ? 'No voucher yet: the first is signed after a megabyte or ten seconds of traffic.'
      : `Voucher ${group(a.seq)} promises ${bell(a.amount)} for ${bytes(a.billed)}` + (a.seen < a.seq ? `; the tower has confirmed ${a.seen === 0 ? 'none' : 'voucher ' + group(a.seen)}` : ''),
      a.seq === 0 ? '' : `${abell(a.amount)} for ${octets(a.billed)}`);
    chanBox.hidden = !ch;
    noChan.hidden = Boolean(ch);
    if (!ch) return;
    const most = BigInt(a.amount) > BigInt(ch.promised) ? a.amount : ch.promised;
    put(chan, `${group(ch.id)} · ${ch.state}`);
    putBell(paid, ch.paid); putBell(promised, most); putBell(reserve, ch.reserve);
    chanBar.set(share(most, ch.reserve), share(ch.paid, ch.reserve));
  }
  return { root, update };
}

function phoneView() {
  const dot = make('i.dot'), name = make('b'), imsi = make('a.imsi', name), state = make('span.state');
  const address = make('span.address'), apn = make('span.apn'), where = make('span'), security = make('span');
  const dl = make('span'), ul = make('span'), box = make('div.spark'), why = make('p.notice');
  const plot = new Plot(box, { width: 240, height: 36, name: 'bytes of this phone over the last two minutes' });
  const root = make('article.phone',
    make('div.name', dot, imsi, state), make('div.net', address, apn), box,
    make('div.bytes', make('p.dl', make('span.arrow', '↓'), ' ', dl), make('p.ul', make('span.arrow', '↑'), ' ', ul)),
    make('div.place', where, security), why);

  function update(p) {
    const sum = (k) => p.bearers.reduce((s, b) => s + b[k], 0);
    const held = p.notice !== '';
    dot.className = 'dot ' + (held ? 'warn' : { connected: 'good', attaching: 'soon', idle: 'rest' }[p.state] ?? 'off');
    put(name, p.imsi || 'unknown IMSI');
    if (p.ref) imsi.href = '/phone?id=' + encodeURIComponent(p.ref);
    put(state, p.state + (known(p.since) ? ' for ' + span(p.since, latest) : ''), known(p.since) ? 'since ' + moment(p.since) : '');
    put(address, p.address || 'no address yet');
    put(apn, p.apn, p.bearers.map((b) => `bearer ${b.ebi}, QCI ${b.qci}${b.settled ? '' : ', no ticket'}`).join('; '));
    put(where, [p.tower, p.cell && 'cell ' + p.cell].filter(Boolean).join(' · '));
    put(security, p.security || 'no security yet', known(p.ticket_until) ? `ticket ${p.ticket} until ${moment(p.ticket_until)}` : '');
    put(dl, bytes(sum('dl')), `${octets(sum('dl'))}, ${many(sum('dl_packets'), 'packet', 'packets')}`);
    put(ul, bytes(sum('ul')), `${octets(sum('ul'))}, ${many(sum('ul_packets'), 'packet', 'packets')}`);
    tell(why, [p.reason, known(p.heard) && `heard ${span(p.heard, latest)} ago`, known(p.update_due) && `update due ${moment(p.update_due)}`, p.notice].filter(Boolean).join(' · '));
    why.classList.toggle('calm', !held);
    plot.update(p.rates);
  }
  return { root, update };
}

function accountView() {
  const name = make('h3'), address = make('span.key-text'), claimable = make('b.figure'), balance = make('span');
  const button = make('button.claim', 'Claim');
  button.type = 'button';
  button.addEventListener('click', () => claim(button));
  const row = make('div.row', make('div', claimable, make('span.unit', 'claimable')), button);
  const root = make('div.purse', make('div.title', name, address), row,
    make('p.balance', 'balance ', balance));

  function update(a) {
    put(name, a.name);
    put(address, a.address.length > 16 ? a.address.slice(0, 8) + '…' + a.address.slice(-4) : a.address, a.address);
    putBell(claimable, a.claimable);
    row.hidden = !a.claims && a.claimable === '0';
    if (a.balance === null) put(balance, 'not known now', 'the ledger does not answer');
    else putBell(balance, a.balance);
    button.hidden = !(a.claims && canClaim);
    button.disabled = claiming || a.claimable === '0';
    button.title = a.claimable === '0' ? 'nothing to claim: the next voucher posted pays in' : '';
  }
  return { root, update };
}

function eventView() {
  const dot = make('i.dot'), at = make('time'), text = make('span');
  const root = make('li', at, dot, text);
  const kinds = { cell: 'good', phone: 'soon', voucher: 'paper', money: 'gold', chain: 'rest', trouble: 'warn' };
  function update(e) {
    put(at, clock(e.at), moment(e.at));
    at.dateTime = e.at;
    dot.className = 'dot ' + (kinds[e.kind] ?? 'off');
    put(text, e.text);
  }
  return { root, update };
}

let latest = new Date().toISOString(); // the server's time, of the last snapshot
let heard = 0;
let canClaim = false;
let claiming = false;
const total = new Plot($('plot'), { height: 170, labels: rate, name: 'bytes a second of all phones over the last two minutes' });

async function claim(button) {
  claiming = button.disabled = true;
  tell($('claim-said'), 'Asked the ledger; a block takes about a second.');
  let said;
  try {
    const r = await fetch('/api/claim', { method: 'POST', headers: { 'X-Campanile-Claim': '1' } });
    const a = await r.json();
    said = a.text || a.error;
    $('claim-said').classList.toggle('bad', !r.ok);
  } catch {
    said = 'The node did not answer; look at the balance before you try again.';
    $('claim-said').classList.add('bad');
  }
  claiming = false;
  tell($('claim-said'), said);
}

function head(s) {
  const name = s.network.name || 'Campanile';
  put($('network'), name, 'operator ' + s.network.operator);
  document.title = name === 'Campanile' ? name : name + ' · Campanile';
  const up = s.towers.filter((t) => t.on_air).length;
  put($('summary'), [s.network.plmn && 'PLMN ' + s.network.plmn, many(up, 'tower', 'towers') + ' on air', many(s.phones_here, 'phone', 'phones') + ' connected'].filter(Boolean).join(' · '));
  put($('height'), group(s.chain.height), known(s.chain.time) ? 'made ' + moment(s.chain.time) : '');
  put($('chain'), s.chain.id || '–');
  $('private').hidden = s.chain.validators !== 1;
  tell($('halted'), s.chain.running ? '' : s.chain.height === 0 ? 'No block yet: the ledger is starting.' : `Consensus halted at block ${group(s.chain.height)}. Phones stay attached and bytes stay counted; vouchers are posted when blocks return.`);
  put($('law'), s.network.law);
  tell($('s1ap'), s.network.s1ap.map((text) => 'S1AP: ' + text).join(' · '));
  tell($('datapath'), s.network.data_path && 'User packets: ' + s.network.data_path);
  tell($('pool'), s.network.pool.map((m) => 'Pool: ' + m.text).join(' · '));
  $('pool').classList.toggle('bad', s.network.pool.some((m) => !m.up));
  $('events').hidden = s.events.length === 0;
}

function traffic(s) {
  for (const d of ['dl', 'ul']) {
    put($('rate-' + d), rate(s.rates[d].at(-1) ?? 0));
    put($('sum-' + d), bytes(s.carried[d]) + ' in all', octets(s.carried[d]));
  }
  total.update(s.rates);
  tell($('unsettled'), s.unsettled.filter((u) => u.ul + u.dl > 0).map((u) => `${bytes(u.ul + u.dl)} nobody is charged for: ${u.reason}`).join(' · '));
}

function show(s) {
  latest = s.at;
  canClaim = s.can_claim;
  $('calls').hidden = !s.has_calls;
  head(s);
  traffic(s);
  each($('accounts'), s.accounts, (a) => a.address + a.name, accountView);
  $('no-accounts').hidden = s.accounts.length > 0;
  each($('tower-list'), s.towers, (t) => t.key, towerView);
  $('no-towers').hidden = s.towers.length > 0;
  put($('towers-count'), s.towers_all > s.towers.length ? `${group(s.towers.length)} of ${group(s.towers_all)} shown` : '');
  each($('phone-list'), s.phones, (p) => p.id, phoneView);
  tell($('no-phones'), s.phones.length > 0 ? '' : s.towers.some((t) => t.on_air)
    ? 'No phone yet: switch one on whose SIM was added with “campanile subscriber add”, data roaming on, APN as in the configuration.'
    : 'No phone yet: a tower has to be on air first.');
  put($('phones-count'), s.phones_all > 0 ? `${group(s.phones_here)} of ${group(s.phones_all)} connected` : '');
  tell($('more-phones'), s.phones_all > s.phones.length ? `${group(s.phones_all - s.phones.length)} more are not shown.` : '');
  const seen = new Map();
  const events = s.events.map((e) => {
    const k = e.at + e.kind + e.text;
    seen.set(k, (seen.get(k) ?? 0) + 1);
    return { ...e, key: k + seen.get(k) };
  });
  each($('events'), events.reverse(), (e) => e.key, eventView);
  $('no-events').hidden = events.length > 0;
}

let source = null;

function listen() {
  source = new EventSource('/api/events');
  const mine = source;
  source.addEventListener('message', (m) => {
    heard = Date.now();
    tell($('silent'), '');
    document.body.classList.remove('stale');
    show(JSON.parse(m.data));
  });
  source.addEventListener('error', () => {
    const when = heard ? 'since ' + clock(heard) : 'yet';
    tell($('silent'), `No word from the node ${when}. What you see is how it was; trying again.`);
    document.body.classList.add('stale');
    if (mine.readyState !== EventSource.CLOSED) return;
    setTimeout(() => mine === source && listen(), 5000); // an answer that was no stream: the browser does not try again itself
  });
}

// A page nobody looks at asks for nothing: browsers keep few connections.
document.addEventListener('visibilitychange', () => {
  source?.close();
  source = null;
  if (!document.hidden) listen();
});

listen();
