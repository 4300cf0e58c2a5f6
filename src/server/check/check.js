// Runs the test of /check. The script measures and names each result; what a result means is in
// the data of the page, which the server wrote (`state/check.rs`). No rule is here.
'use strict';

const data = JSON.parse(document.getElementById('check-data').textContent);
const { words, paths } = data;
const byId = (id) => document.getElementById(id);
const placeOf = (step) => document.querySelector(`[data-step="${step}"]`);
const now = () => performance.now();
const after = (ms) => new Promise((done) => setTimeout(done, ms));

// Milliseconds. A connection that takes longer counts as none, as in a call (`state/reachability.rs`).
const PATH_MS = 10000;
const MESSAGE_MS = 8000;
const RATE_MS = 3000;
// A microphone that delivers digital zero for so long is silent.
const SILENCE_MS = 5000;
const QUESTION_MS = 20000;
const PINGS = 5;
const RELAYED_CHUNKS = 16;
const CHUNK_BYTES = 16384;
const BODY_BYTES = 65536;
const MOST_KBPS = 100000;
const UPLOADS_AT_ONCE = 4;
const PING = '{"type":"ping"}';

// The results by step: the finding of the page, its code, and the measured value as text.
const results = new Map();
let summary;

function fill(place, finding, value) {
  const verdict = place.querySelector('.check__verdict');
  verdict.dataset.verdict = finding.verdict;
  verdict.textContent = value ? `${finding.word} · ${value}` : finding.word;
  place.querySelector('.check__sentence').textContent = finding.sentence;
  place.querySelector('.check__advice').textContent = finding.advice;
}

function show(step, code, value = '', detail = '') {
  const finding = data.steps[step].results[code];
  results.set(step, { finding, code, value, detail });
  fill(placeOf(step), finding, value);
  writeReport();
}

function clear(step, word, verdict) {
  results.delete(step);
  fill(placeOf(step), { verdict, word, sentence: '', advice: '' });
}

function showSummary(finding) {
  const part = (name, text) => Object.assign(document.createElement('p'), { className: name, textContent: text });
  const verdict = part('check__verdict', finding.word);
  verdict.dataset.verdict = finding.verdict;
  const parts = [verdict, part('check__sentence', finding.sentence), part('check__advice', finding.advice)];
  byId('check-summary').replaceChildren(...parts.filter((element) => element.textContent));
}

// Requests ---------------------------------------------------------------------------------------

/** A request that is given up after a while. */
function ask(path, options = {}, ms = MESSAGE_MS) {
  const giveUp = new AbortController();
  const timer = setTimeout(() => giveUp.abort(), ms);
  return fetch(path, { cache: 'no-store', signal: giveUp.signal, ...options }).finally(() => clearTimeout(timer));
}

/** Why the server refuses a connection; a code of `ConnectionResult`. */
function refusalOf(answer) {
  const reason = answer.headers.get('noom-refusal');
  if (['foreign_origin', 'unknown_host'].includes(reason) || answer.status === 403 || answer.status === 421) return 'foreign';
  if (reason || answer.status === 429 || answer.status === 503) return 'busy';
  return 'blocked';
}

const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

// Messages ---------------------------------------------------------------------------------------

/** Times of the pings over a WebSocket, in ms; empty if it does not work. */
function pingSocket() {
  return new Promise((resolve) => {
    const times = [];
    const url = new URL(paths.socket, location.href);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    const socket = new WebSocket(url);
    let sent;
    const done = () => {
      clearTimeout(timer);
      socket.close();
      resolve(times);
    };
    const timer = setTimeout(done, MESSAGE_MS);
    const ping = () => {
      sent = now();
      socket.send(PING);
    };
    socket.onopen = ping;
    socket.onmessage = ({ data: frame }) => {
      if (JSON.parse(frame).type !== 'pong') return;
      times.push(now() - sent);
      if (times.length < PINGS) ping();
      else done();
    };
    socket.onerror = socket.onclose = done;
  });
}

/** Times of plain requests, in ms. */
async function timeRequests() {
  const times = [];
  for (let count = 0; count < PINGS; count += 1) {
    const start = now();
    await ask(paths.socket, { method: 'POST' });
    times.push(now() - start);
  }
  return times;
}

async function testSocket() {
  const times = self.WebSocket ? await pingSocket().catch(() => []) : [];
  if (times.length) {
    show('socket', 'works');
    return showDelay(times);
  }
  try {
    const answer = await ask(paths.socket, { method: 'POST' });
    show('socket', self.WebSocket ? refusalOf(answer) : 'missing');
    showDelay(await timeRequests());
  } catch {
    show('socket', 'unreachable');
    show('round_trip', 'unmeasured');
  }
}

function showDelay(times) {
  const ms = Math.round(median(times));
  const [, code] = data.delays.find(([limit]) => ms < limit);
  show('round_trip', code, `${ms} ms`);
}

async function testPoll() {
  try {
    const opened = await ask(paths.poll, { method: 'POST' });
    if (opened.status !== 201) return show('poll', refusalOf(opened));
    const headers = { 'noom-connection': (await opened.json()).connection };
    try {
      const json = { ...headers, 'content-type': 'application/json' };
      const posted = await ask(`${paths.poll}?batch=1`, { method: 'POST', headers: json, body: `[${PING}]` });
      if (!posted.ok) return show('poll', refusalOf(posted));
      const polled = await ask(`${paths.poll}?after=0`, { headers });
      const { frames } = polled.ok ? await polled.json() : { frames: [] };
      show('poll', frames.some(({ type }) => type === 'pong') ? 'works' : 'blocked');
    } finally {
      await ask(`${paths.poll}?close=1000`, { method: 'POST', headers }).catch(() => {});
    }
  } catch {
    // Plain requests that fail on the way: the WebSocket may work all the same.
    show('poll', results.get('socket')?.code === 'works' ? 'blocked' : 'unreachable');
  }
}

// Media ------------------------------------------------------------------------------------------

/** Resolves when a connection is connected, failed or too slow. */
function settled(connection) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, PATH_MS);
    connection.onconnectionstatechange = () => {
      if (!['connected', 'failed', 'closed'].includes(connection.connectionState)) return;
      clearTimeout(timer);
      resolve();
    };
  });
}

/** Kinds of the selected candidates, without their addresses, and the round-trip time in ms. */
async function selectedPath(connection) {
  const report = await connection.getStats();
  const all = [...report.values()];
  const chosen = all.find(({ selectedCandidatePairId }) => selectedCandidatePairId)?.selectedCandidatePairId;
  const pair = report.get(chosen) ?? all.find(({ type, nominated, state }) => type === 'candidate-pair' && nominated && state === 'succeeded');
  if (!pair) return { path: '', ms: undefined };
  const kind = (id) => {
    const candidate = report.get(id);
    return candidate ? `${candidate.candidateType}/${candidate.relayProtocol ?? candidate.protocol}` : '?';
  };
  const rtt = pair.currentRoundTripTime;
  return {
    path: `${kind(pair.localCandidateId)} → ${kind(pair.remoteCandidateId)}`,
    ms: rtt === undefined ? undefined : Math.round(rtt * 1000),
  };
}

/** Connects to the SFU over one transport only. */
async function testPath(step, transport, ticket) {
  if (!self.RTCPeerConnection) return show(step, 'no_webrtc');
  const connection = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
  try {
    connection.addTransceiver('audio', { direction: 'recvonly' });
    await connection.setLocalDescription(await connection.createOffer());
    const body = JSON.stringify({ sdp: connection.localDescription.sdp });
    const headers = { 'noom-check': ticket, 'content-type': 'application/json' };
    const answer = await ask(paths.media, { method: 'POST', headers, body });
    if (!answer.ok) return show(step, 'refused');
    const lines = (await answer.json()).sdp.split('\r\n');
    const kept = lines.filter((line) => !line.startsWith('a=candidate:') || line.split(' ')[2].toLowerCase() === transport);
    const done = settled(connection);
    await connection.setRemoteDescription({ type: 'answer', sdp: kept.join('\r\n') });
    await done;
    const { path, ms } = await selectedPath(connection);
    if (connection.connectionState === 'connected') return show(step, 'connected', ms === undefined ? '' : `${ms} ms`, path);
    const hasPath = ['connected', 'completed'].includes(connection.iceConnectionState);
    show(step, hasPath ? 'no_dtls' : 'no_path');
  } catch (error) {
    console.warn(error);
    show(step, 'refused');
  } finally {
    connection.close();
  }
}

/** Hands the candidates of one connection to another, which takes them once it is described. */
function trickle(from, to, described) {
  const counted = { addresses: 0 };
  from.onicecandidate = ({ candidate }) => {
    if (!candidate?.candidate) return;
    counted.addresses += 1;
    described.then(() => to.addIceCandidate(candidate)).catch(() => {});
  };
  return counted;
}

/** Resolves with true when every chunk came back over a channel. */
function echoed(channel) {
  return new Promise((resolve) => {
    const chunk = crypto.getRandomValues(new Uint8Array(CHUNK_BYTES));
    let left = RELAYED_CHUNKS;
    channel.binaryType = 'arraybuffer';
    channel.onopen = () => {
      for (let count = 0; count < RELAYED_CHUNKS; count += 1) channel.send(chunk);
    };
    channel.onmessage = ({ data: bytes }) => {
      const back = new Uint8Array(bytes);
      if (back.length !== chunk.length || back.some((byte, at) => byte !== chunk[at])) return resolve(false);
      left -= 1;
      if (left === 0) resolve(true);
    };
    channel.onclose = () => resolve(false);
  });
}

/** Sends bytes from one connection of this page to another, through the relay only. */
async function testRelay(step, servers) {
  if (servers.length === 0) return show(step, 'not_offered');
  if (!self.RTCPeerConnection) return show(step, 'no_webrtc');
  const options = { iceServers: servers, iceTransportPolicy: 'relay' };
  const [near, far] = [new RTCPeerConnection(options), new RTCPeerConnection(options)];
  try {
    let describe;
    const described = new Promise((done) => (describe = done));
    const gathered = trickle(near, far, described);
    trickle(far, near, described);
    far.ondatachannel = ({ channel }) => {
      channel.binaryType = 'arraybuffer';
      channel.onmessage = ({ data: bytes }) => channel.send(bytes);
    };
    const whole = echoed(near.createDataChannel('check'));
    const nowhere = new Promise((done) => {
      near.onicegatheringstatechange = () => {
        if (near.iceGatheringState === 'complete' && gathered.addresses === 0) done(false);
      };
    });
    await near.setLocalDescription(await near.createOffer());
    await far.setRemoteDescription(near.localDescription);
    await far.setLocalDescription(await far.createAnswer());
    await near.setRemoteDescription(far.localDescription);
    describe();
    const relays = await Promise.race([whole, nowhere, after(PATH_MS).then(() => false)]);
    const { path, ms } = await selectedPath(near);
    if (relays) return show(step, 'relays', ms === undefined ? '' : `${ms} ms`, path);
    show(step, gathered.addresses ? 'no_bytes' : 'no_address');
  } catch (error) {
    console.warn(error);
    show(step, 'no_address');
  } finally {
    near.close();
    far.close();
  }
}

/** The relays among the ICE servers that a step reaches. */
function relaysOf(servers, step) {
  const kindOf = (url) => {
    if (url.startsWith('turns:')) return 'turn_tls';
    if (!url.startsWith('turn:')) return '';
    return /[?&]transport=tcp/i.test(url) ? 'turn_tcp' : 'turn_udp';
  };
  const kept = servers.map(({ urls, ...login }) => ({ ...login, urls: [urls].flat().filter((url) => kindOf(url) === step) }));
  return kept.filter(({ urls }) => urls.length);
}

// Bandwidth --------------------------------------------------------------------------------------

function showRate(step, kbps, isBound) {
  const [, code] = data.rates.find(([limit]) => kbps >= limit);
  // A test of some MiB measures buffers beyond this.
  const isBeyond = kbps > MOST_KBPS;
  const shown = Math.min(kbps, MOST_KBPS) / 1000;
  show(step, code, `${isBound || isBeyond ? '≥ ' : ''}${shown.toFixed(shown < 10 ? 1 : 0)} Mbit/s`);
}

async function testDownload(ticket) {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), RATE_MS + MESSAGE_MS);
  try {
    const answer = await fetch(paths.download, { headers: { 'noom-check': ticket }, cache: 'no-store', signal: stop.signal });
    if (!answer.ok) return show('download', 'unmeasured');
    const reader = answer.body.getReader();
    // The time begins with the first bytes, which do not count.
    const first = await reader.read();
    const start = now();
    let [bytes, last, whole] = [0, start, first.done];
    while (!whole && now() - start < RATE_MS) {
      const { done, value } = await Promise.race([reader.read(), after(RATE_MS - (now() - start)).then(() => ({}))]);
      whole = done === true;
      if (!value) break;
      bytes += value.length;
      last = now();
    }
    const ms = whole ? last - start : RATE_MS;
    stop.abort();
    showRate('download', ms > 0 ? (bytes * 8) / ms : 0, whole);
  } catch {
    show('download', 'unmeasured');
  } finally {
    clearTimeout(timer);
  }
}

async function testUpload(ticket, allowed) {
  const noise = crypto.getRandomValues(new Uint8Array(BODY_BYTES));
  const headers = { 'noom-check': ticket, 'content-type': 'application/octet-stream' };
  const end = now() + RATE_MS;
  let [bytes, start, last] = [0, now(), now()];
  let [left, isUsedUp, fails] = [allowed, false, false];
  const send = async (size) => {
    isUsedUp ||= left < size;
    if (isUsedUp) return;
    left -= size;
    try {
      const answer = await ask(paths.upload, { method: 'POST', headers, body: noise.subarray(0, size) }, Math.max(1, end - now()));
      fails ||= !answer.ok;
      bytes += size;
      last = now();
    } catch {
      // Given up at the end, or lost before it.
      fails ||= now() < end - 100;
    }
  };
  const goesOn = () => now() < end && !isUsedUp && !fails;
  // Small requests first, so that a slow line completes some. On a fast one they do not count.
  for (let size = 4096; size < BODY_BYTES && goesOn(); size *= 2) await send(size);
  if (goesOn() && now() - start < RATE_MS / 3) [bytes, start] = [0, now()];
  const lane = async () => {
    while (goesOn()) await send(BODY_BYTES);
  };
  await Promise.all(Array.from({ length: UPLOADS_AT_ONCE }, lane));
  if (fails) return show('upload', 'unmeasured');
  // What was under way at the end does not count, nor does its time.
  showRate('upload', last > start ? (bytes * 8) / (last - start) : 0, isUsedUp);
}

// The test of the connection ---------------------------------------------------------------------

const CONNECTION_STEPS = [...document.querySelectorAll('ol .check__step')].map((place) => place.dataset.step);
const MEDIA_STEPS = ['udp', 'tcp', 'turn_udp', 'turn_tcp', 'turn_tls'];

async function startTest() {
  try {
    const answer = await ask(paths.start, { method: 'POST' });
    return answer.ok ? await answer.json() : 'refused';
  } catch {
    return undefined;
  }
}

/** Runs steps, with a sentence about what runs. */
async function running(steps, work) {
  byId('check-progress').value += 1;
  const names = steps.map((step) => data.steps[step].name).join(', ');
  byId('check-summary').textContent = words.running.replace('{}', names);
  for (const step of steps) clear(step, words.in_progress, 'waiting');
  await work();
}

async function testConnection() {
  for (const step of CONNECTION_STEPS) clear(step, words.waiting, 'waiting');
  const started = await startTest();
  if (started === 'refused') {
    byId('check-summary').textContent = words.refused;
    return;
  }
  const { ticket = '', upload_bytes: allowed = 0, ice_servers: servers = [] } = started ?? {};
  await running(['socket', 'round_trip'], testSocket);
  await running(['poll'], testPoll);
  await running(MEDIA_STEPS, async () => {
    if (!started) {
      for (const step of ['udp', 'tcp']) show(step, 'refused');
      for (const step of ['turn_udp', 'turn_tcp', 'turn_tls']) clear(step, words.waiting, 'waiting');
      return;
    }
    const direct = ['udp', 'tcp'].map((transport) => testPath(transport, transport, ticket));
    const relays = ['turn_udp', 'turn_tcp', 'turn_tls'].map((step) => testRelay(step, relaysOf(servers, step)));
    await Promise.all([...direct, ...relays]);
  });
  await running(['download'], () => (started ? testDownload(ticket) : show('download', 'unmeasured')));
  await running(['upload'], () => (started ? testUpload(ticket, allowed) : show('upload', 'unmeasured')));
  if (started) void ask(paths.end, { method: 'POST', headers: { 'noom-check': ticket } }).catch(() => {});
  // The conditions that some result proves and none disproves.
  const found = CONNECTION_STEPS.map((step) => results.get(step)?.finding).filter(Boolean);
  const proved = found.reduce((bits, { proves }) => bits | proves, data.start);
  const disproved = found.reduce((bits, { disproves }) => bits | disproves, 0);
  summary = data.summaries[data.conditions[proved & ~disproved]];
  showSummary(summary);
}

byId('check-start').addEventListener('click', async ({ currentTarget: button }) => {
  if (button.getAttribute('aria-disabled') === 'true') return;
  button.setAttribute('aria-disabled', 'true');
  const progress = byId('check-progress');
  Object.assign(progress, { hidden: false, max: 6, value: 0 });
  summary = undefined;
  await testConnection().catch((error) => console.error(error));
  progress.hidden = true;
  button.removeAttribute('aria-disabled');
  button.textContent = words.again;
  writeReport();
});

// Devices ----------------------------------------------------------------------------------------

const DEVICES = {
  microphone: { kind: 'audioinput', media: 'audio' },
  camera: { kind: 'videoinput', media: 'video' },
  speaker: { kind: 'audiooutput' },
};
// Stops the test of a device that runs.
const stops = new Map();
const counts = {};
const permissions = {};

/** A code of `CaptureResult` for an error of `getUserMedia`. */
function causeOf(error) {
  switch (error.name) {
    case 'NotAllowedError':
    case 'SecurityError':
      return 'denied';
    case 'NotFoundError':
    case 'OverconstrainedError':
      return 'not_found';
    case 'NotReadableError':
    case 'AbortError':
      return 'in_use';
    default:
      return 'failed';
  }
}

/** The state of a permission; the browser is not made to ask. */
async function permissionOf(step) {
  if (step === 'speaker') return '';
  try {
    const { state } = await navigator.permissions.query({ name: step });
    return words[state] ?? words.not_told;
  } catch {
    return words.not_told;
  }
}

/** Shows which devices there are and what the browser allows. */
async function listDevices() {
  const all = await navigator.mediaDevices?.enumerateDevices().catch(() => []);
  for (const [step, { kind }] of Object.entries(DEVICES)) {
    const place = placeOf(step);
    const devices = (all ?? []).filter((device) => device.kind === kind);
    const named = devices.filter(({ label, deviceId }) => label && deviceId);
    counts[step] = devices.length;
    permissions[step] = await permissionOf(step);
    const told = [];
    if (all) told.push(words.found.replace('{}', devices.length));
    if (devices.length && !named.length) told.push(words.names_later);
    if (permissions[step]) told.push(words.permission.replace('{}', permissions[step]));
    place.querySelector('[data-found]').textContent = told.join(' · ');
    const select = place.querySelector('select');
    const chosen = select.value;
    const options = [['', words.default_device], ...named.map(({ deviceId, label }) => [deviceId, label])];
    select.replaceChildren(...options.map(([value, label]) => new Option(label, value, false, value === chosen)));
    place.querySelector('[data-choice]').hidden = named.length === 0;
  }
  writeReport();
}

/** The stream of a device, or the code of what prevents it. */
async function capture(step) {
  if (!navigator.mediaDevices?.getUserMedia) return isSecureContext ? 'missing' : 'insecure';
  const id = placeOf(step).querySelector('select').value;
  const asked = navigator.mediaDevices.getUserMedia({ [DEVICES[step].media]: id ? { deviceId: { ideal: id } } : true });
  const stream = await Promise.race([asked.catch(causeOf), after(QUESTION_MS).then(() => 'no_answer')]);
  // An answer that comes late starts no device.
  if (stream === 'no_answer') asked.then(stopStream, () => {});
  return stream;
}

function stopStream(stream) {
  for (const track of stream.getTracks()) track.stop();
}

/** The level of a stream, from 0 to 1, several times a second. */
function watchLevel(stream, onLevel) {
  const audio = new AudioContext();
  void audio.resume();
  const analyser = audio.createAnalyser();
  audio.createMediaStreamSource(stream).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    onLevel(Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length));
  }, 60);
  return () => {
    clearInterval(timer);
    void audio.close();
  };
}

async function testMicrophone() {
  const stream = await capture('microphone');
  if (typeof stream === 'string') return show('microphone', stream);
  let [isHeard, since] = [false, now()];
  const meter = byId('check-level');
  const stopLevel = watchLevel(stream, (level) => {
    // Speech has 0.02 to 0.3; the root spreads it over the bar.
    meter.value = Math.min(1, Math.sqrt(level * 3));
    if (level > 0) since = now();
    if (level > 0.001 && !isHeard) {
      isHeard = true;
      show('microphone', 'works');
    }
    if (now() - since > SILENCE_MS) {
      since = Infinity;
      isHeard = false;
      show('microphone', 'silent');
    }
  });
  return () => {
    stopLevel();
    stopStream(stream);
    meter.value = 0;
  };
}

async function testCamera() {
  const stream = await capture('camera');
  if (typeof stream === 'string') return show('camera', stream);
  const video = byId('check-picture');
  const timer = setTimeout(() => show('camera', 'silent'), SILENCE_MS);
  video.onloadeddata = () => {
    clearTimeout(timer);
    show('camera', 'works', `${video.videoWidth} × ${video.videoHeight}`);
  };
  video.srcObject = stream;
  void video.play().catch(() => {});
  return () => {
    clearTimeout(timer);
    stopStream(stream);
    video.srcObject = null;
  };
}

async function testSpeaker() {
  const id = placeOf('speaker').querySelector('select').value;
  try {
    const audio = new AudioContext();
    await Promise.race([audio.resume(), after(2000)]);
    if (audio.state !== 'running') throw new Error('the browser plays no sound');
    if (id && audio.setSinkId) await audio.setSinkId(id);
    const volume = audio.createGain();
    volume.connect(audio.destination);
    volume.gain.value = 0;
    [440, 554, 659].forEach((frequency, index) => {
      const tone = audio.createOscillator();
      const start = audio.currentTime + index * 0.45;
      tone.frequency.value = frequency;
      tone.connect(volume);
      // Rises and falls without a click.
      volume.gain.setTargetAtTime(0.2, start, 0.02);
      volume.gain.setTargetAtTime(0, start + 0.3, 0.03);
      tone.start(start);
      tone.stop(start + 0.44);
    });
    return () => void audio.close();
  } catch {
    return show('speaker', 'blocked');
  }
}

const TESTS = { microphone: testMicrophone, camera: testCamera, speaker: testSpeaker };

function stopDevice(step) {
  const place = placeOf(step);
  stops.get(step)?.();
  stops.delete(step);
  place.querySelector('[data-running]').hidden = true;
  place.querySelector('[data-test]').textContent = labels[step];
}

async function startDevice(step) {
  const place = placeOf(step);
  const button = place.querySelector('[data-test]');
  button.setAttribute('aria-disabled', 'true');
  clear(step, words.in_progress, 'waiting');
  const stop = await TESTS[step]();
  button.removeAttribute('aria-disabled');
  place.querySelector('[data-running]').hidden = !stop;
  if (stop) stops.set(step, stop);
  if (stop && step === 'speaker') clear(step, words.heard, 'waiting');
  else if (stop) button.textContent = words.stop;
  await listDevices();
}

const labels = {};
for (const step of Object.keys(DEVICES)) {
  const place = placeOf(step);
  const button = place.querySelector('[data-test]');
  labels[step] = button.textContent;
  button.addEventListener('click', () => {
    if (button.getAttribute('aria-disabled') === 'true') return;
    const runs = stops.has(step);
    stopDevice(step);
    if (!runs || step === 'speaker') void startDevice(step);
    else if (!results.has(step)) clear(step, words.waiting, 'waiting');
  });
  place.querySelector('select').addEventListener('change', () => {
    if (!stops.has(step) || step === 'speaker') return;
    stopDevice(step);
    void startDevice(step);
  });
}
for (const [id, code] of [['check-heard', 'heard'], ['check-not-heard', 'not_heard']]) {
  byId(id).addEventListener('click', () => {
    stopDevice('speaker');
    show('speaker', code);
    // The button that had the focus is gone.
    placeOf('speaker').querySelector('[data-test]').focus();
  });
}
addEventListener('pagehide', () => Object.keys(DEVICES).forEach(stopDevice));
navigator.mediaDevices?.addEventListener('devicechange', () => void listDevices());

// The report -------------------------------------------------------------------------------------

function writeReport() {
  const { seen } = data;
  const lines = [
    words.title,
    `${new Date().toISOString()} · ${location.origin}`,
    navigator.userAgent,
    `TLS: ${seen.tls} · ${seen.http} · ${seen.family} · secure context: ${isSecureContext}`,
  ];
  if (summary) lines.push('', `${summary.word}: ${summary.sentence}`);
  lines.push('');
  for (const step of data.order) {
    const { name } = data.steps[step];
    const result = results.get(step);
    if (!result) lines.push(`- ${name}: ${words.waiting}`);
    else {
      const { finding, code, value, detail } = result;
      const path = detail && words.candidates.replace('{}', detail);
      lines.push(`- ${name}: ${[finding.word, value, finding.sentence, path, `[${code}]`].filter(Boolean).join(' · ')}`);
    }
    if (step in counts) lines.push(`  ${[words.found.replace('{}', counts[step]), permissions[step]].filter(Boolean).join(' · ')}`);
  }
  byId('check-text').value = lines.join('\n');
}

byId('check-copy').addEventListener('click', async () => {
  const text = byId('check-text');
  let isCopied = false;
  try {
    await navigator.clipboard.writeText(text.value);
    isCopied = true;
  } catch {
    // No clipboard on an insecure page; the older way needs a selection.
    text.select();
    isCopied = document.execCommand('copy');
  }
  byId('check-copied').textContent = isCopied ? words.copied : words.copy_failed;
});

byId('check-needs-script').hidden = true;
for (const part of document.querySelectorAll('[data-script]')) part.hidden = false;
void listDevices();
