import { test } from '../support/test.ts';
import type { BrowserContext } from '@playwright/test';
import { roomPath } from '../pages/room.ts';
import { observeCalls } from '../support/rtc.ts';
import { COLOURS, paintCamera } from '../support/faces.ts';
import { Firefox } from '../support/firefox.ts';
import { writeFileSync } from 'node:fs';
const stats = async () => {
  const out: any[] = [];
  for (const { pc } of window.__rtc.connections) { out.push(pc.connectionState, pc.iceConnectionState, pc.signalingState); for (const r of (await pc.getStats()).values()) {
    if (r.type === 'outbound-rtp' && r.kind) out.push(['out', r.kind, r.rid, r.ssrc, r.packetsSent, 'nack', r.nackCount, 'pli', r.pliCount, r.framesEncoded, r.frameHeight, r.active]);
    if (r.type === 'inbound-rtp' ) out.push(['in', r.kind, r.packetsReceived, 'lost', r.packetsLost, 'nack', r.nackCount, 'fdec', r.framesDecoded, r.frameHeight, r.totalAudioEnergy]);
    if (r.type === 'candidate-pair') out.push(['pair', r.state, r.nominated, r.selected, r.bytesSent]);
    if (r.type === 'local-candidate' || r.type === 'remote-candidate') out.push([r.type, r.address, r.port, r.protocol, r.candidateType]);
  } }
  return out;
};
test('probe', async ({ person, name, startServer }) => {
  test.setTimeout(120_000);
  const server = await startServer({ p2pMax: 0 });
  const ann = await person('Ann', { server });
  await paintCamera(ann.page, COLOURS.Ann, [640, 360]);
  await ann.entersCall(name);
  const fox = await Firefox.start();
  try {
    await observeCalls(fox.page as unknown as BrowserContext);
    if (!process.env.FAKE) await paintCamera(fox.page, COLOURS.Ben, [640, 360]);
    await fox.addInitScript(() => { (window as any).__errs = []; addEventListener('error', (e) => (window as any).__errs.push(String(e.message))); addEventListener('unhandledrejection', (e: any) => (window as any).__errs.push('rej ' + e.reason)); const W = window.WebSocket; const send = W.prototype.send; (window as any).__ws = []; W.prototype.send = function (d: any) { (window as any).__ws.push('-> ' + String(d).slice(0, 300)); return send.call(this, d); }; });
    await fox.open(`${server.url}${roomPath(name)}/call?name=Ben&prejoin=0`);
    console.log(await fox.evaluate(async () => { const out: any[] = []; for (const c of [{ video: true }, { audio: true }, { audio: true, video: true }]) { try { const t = Promise.race([navigator.mediaDevices.getUserMedia(c), new Promise((_, no) => setTimeout(() => no('late'), 3000))]); out.push(((await t) as any).getTracks().map((t: any) => t.kind + t.readyState)); } catch (e) { out.push(String(e)); } } return out; }));
    for (let i = 0; i < 3; i++) {
      await new Promise((d) => setTimeout(d, 4000));
      console.log('fox', JSON.stringify(await fox.evaluate(stats)));
    }
    console.log('ann', JSON.stringify(await ann.page.evaluate(stats)));
    console.log('console', fox.console, await fox.evaluate(() => (window as any).__errs));
    console.log((await fox.evaluate(() => (window as any).__ws)).map((x:string)=>x.slice(0,260)).join('\n'));
    console.log(await fox.evaluate(() => [...document.querySelectorAll('li')].map((l) => l.outerHTML.slice(0, 300))));
    writeFileSync('/tmp/np/fox.sdp', (await fox.evaluate(() => window.__rtc.connections.map(({ pc }) => `OFFER\n${pc.localDescription?.sdp}\nANSWER\n${pc.remoteDescription?.sdp}`).join('\n=====\n'))));
    writeFileSync('/tmp/np/fox.log', server.log);
  } finally { await fox.close(); }
});
