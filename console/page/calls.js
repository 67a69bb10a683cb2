// The page of calls and short messages: asks /api/v1/sip every two seconds. It
// has counts and causes and no content.
import { clock, group, known, many, moment, span } from './format.js';
import { $, facts, fill, watch } from './table.js';

const lasting = (s) => `${Math.floor(s / 60)}:${String(Math.floor(s) % 60).padStart(2, '0')}`;
const at = (t) => [known(t) ? clock(t) : '–', known(t) ? moment(t) : ''];
const counts = (list) => list.map((c) => [c.name, group(c.n)]);

function show(s, now) {
  $('sip').hidden = false;
  const up = s.calls.filter((c) => c.state !== 'ringing').length;
  $('summary').textContent = [many(up, 'call', 'calls') + ' on', many(s.known, 'phone or app registered', 'phones and apps registered'), many(s.stations.length, 'base station', 'base stations')].join(' · ');
  fill($('calls'), s.calls.map((c) => ({ cells: [at(c.began), [`${c.from} → ${c.to}`], [c.cells || '–'], [c.state === 'ringing' ? 'ringing' : `${c.state} ${lasting(c.seconds)}`], [c.codec || '–']] })), $('no-calls'));
  fill($('ended'), s.ended.map((c) => ({ mark: c.ok ? '' : 'failed', cells: [at(c.began), [`${c.from} → ${c.to}`], [c.cause], [c.seconds > 0 ? lasting(c.seconds) : '–'], [c.cells || '–']] })), $('none-ended'));
  facts($('outcomes'), counts(s.outcomes));
  facts($('messages'), counts(s.messages.counts));
  $('waiting').textContent = s.messages.waiting === 0 ? 'none waits' : many(s.messages.waiting, 'waits for its phone', 'wait for their phones') + (known(s.messages.oldest) ? `, the oldest for ${span(s.messages.oldest, now)}` : '');
  fill($('stations'), s.stations.map((b) => ({ mark: known(b.heard) ? '' : 'failed', cells: [[b.name, b.kind], [b.tower || 'none: nobody is paid'],
    known(b.heard) ? [span(b.heard, now) + ' ago', moment(b.heard)] : ['never'], [`${many(b.phones, 'phone', 'phones')}, ${many(b.calls, 'call', 'calls')}`], [(b.cells ?? []).join(', '), b.air]] })), $('no-stations'));
  fill($('trunks'), s.trunks.map((t) => ({ mark: t.up ? '' : 'failed', cells: [[t.name], [many(t.calls, 'call', 'calls')], [t.text]] })));
  $('known').textContent = s.known > s.phones.length ? `${group(s.known)}, the newest ${s.phones.length} shown` : group(s.known);
  fill($('phones'), s.phones.map((p) => ({ cells: [at(p.since), [`${p.imsi} · ${p.kind}`], [p.number || '–'], [[p.station, p.cell].filter(Boolean).join(' · ') || '–'], at(p.expires)] })), $('no-phones'));
  facts($('refused'), counts(s.refused).map(([name, n]) => ['refused: ' + name, n]));
}

watch('/api/v1/sip', show);
