// The page of one phone: asks /api/v1/phones for it every two seconds. Data
// becomes text nodes only, never markup.
import { bytes, clock, known, moment, octets, span } from './format.js';
import { $, facts, fill, tell, watch } from './table.js';

const id = new URLSearchParams(location.search).get('id') ?? '';

function registration(p) {
  const at = (t) => known(t) && moment(t);
  const rows = [
    ['number', p.msisdn], ['IMEI', p.imei], ['M-TMSI', p.m_tmsi, 'its temporary identity on the air'], ['tower', [p.tower, p.enb].filter(Boolean).join(' · ')], ['cell', p.cell], ['tracking area', p.tai],
    ['security', p.security, 'ciphering and integrity of what it says to the network'], ['ticket', p.ticket && `${p.ticket.slice(0, 8)}… until ${moment(p.ticket_until)}, segment ${p.segment}`, p.ticket],
    ['last heard', at(p.heard)], ['next update due', at(p.update_due)], ['detached if silent', at(p.detach_at)],
    ['paging cycle', p.drx_frames > 0 && `${p.drx_frames * 10} ms`], ['eDRX', p.edrx], ['power saving', p.psm],
  ].filter(([, value]) => value);
  facts($('facts'), rows);
}

function show(p, now) {
  $('phone').hidden = false;
  document.title = `${p.imsi} · Campanile`;
  $('imsi').textContent = p.imsi;
  $('dot').className = 'dot ' + (p.notice ? 'warn' : { connected: 'good', attaching: 'soon', idle: 'rest' }[p.state] ?? 'off');
  $('summary').textContent = [`${p.state} for ${span(p.since, now)}`, p.address, p.apn, p.reason].filter(Boolean).join(' · ');
  tell($('notice'), p.notice);
  registration(p);
  apns(p);
  fill($('bearers'), p.bearers.map((b) => ({ cells: [[`${b.ebi} · QCI ${b.qci}` + (b.linked === b.ebi ? '' : `, of ${b.linked}`)], [[b.apn, b.address].filter(Boolean).join(' · ')],
    [bytes(b.dl), octets(b.dl)], [bytes(b.ul), octets(b.ul)], [b.enb || 'no radio bearer', 'gateway ' + b.gateway]] })), $('no-bearers'));
  fill($('done'), p.history.map((h) => ({ mark: h.ok ? '' : 'failed', cells: [[clock(h.at), moment(h.at)], [h.procedure], [h.ok ? 'ok' : h.why.includes(h.cause) ? h.why : [h.cause, h.why].filter(Boolean).join(': ')],
    [h.took_ms < 1000 ? `${h.took_ms.toFixed(1)} ms` : `${(h.took_ms / 1000).toFixed(1)} s`], [h.cell || '–']] })), $('none-done'));
}

// apns shows the access points, unless somebody is writing others.
function apns(p) {
  $('subscription').hidden = !p.apns;
  const now = (p.apns ?? []).join(' ');
  if ($('apns').value === ($('apns').was ?? '')) $('apns').value = now;
  $('apns').was = now;
  $('save').disabled = $('apns').value.trim() === now;
}

$('apns').addEventListener('input', () => { $('save').disabled = $('apns').value.trim() === $('apns').was; });
$('save').addEventListener('click', async () => {
  $('save').disabled = true;
  tell($('apns-said'), 'Asked the ledger; a block takes about a second.');
  let said = 'The node did not answer; look at what is there before you try again.', ok = false;
  try {
    const r = await fetch(`/api/v1/phones/${encodeURIComponent(id)}/apns`, { method: 'POST', headers: { 'X-Campanile-Claim': '1' }, body: $('apns').value });
    const a = await r.json();
    [said, ok] = [a.text || a.error, r.ok];
    if (ok) $('apns').was = $('apns').value;
  } catch { /* said above */ }
  $('save').disabled = ok;
  $('apns-said').classList.toggle('bad', !ok);
  tell($('apns-said'), said);
});

watch('/api/v1/phones/' + encodeURIComponent(id), show);
