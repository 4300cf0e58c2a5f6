import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { expect, test } from '../support/test.ts';
import { ProtocolClient } from '../support/protocol_client.ts';
import type { Server } from '../support/server.ts';

/** Coturn's prober; without it these are left out. */
const UCLIENT = '/usr/bin/turnutils_uclient';
test.skip(!existsSync(UCLIENT), 'turnutils_uclient is not installed');

interface Login {
  username: string;
  credential: string;
}

/** Each probe is of a room of its own. */
let logins = 0;

/** What the server gives somebody in a call to reach its relay by. */
async function login(server: Server, room: string): Promise<Login> {
  const wire = await ProtocolClient.join(server, room, 'Ann');
  wire.send({ type: 'enter_call', leg: 7, devices: { microphone: true, camera: true } });
  const call = await wire.next(({ type }) => type === 'call');
  return call.ice_servers.find(({ username }: Login) => username);
}

/**
 * Runs the prober and returns what it said. It throws dice whether to ask for an even port (RFC 8656 18.7), which
 * the server does not give (420); it is started again then, as somebody else: what it had begun counts.
 */
async function probe(server: Server, room: string, options: string[], password?: string): Promise<string> {
  for (let left = 30; ; left -= 1) {
    const { username, credential: real } = await login(server, `${room} ${(logins += 1)}`);
    const credential = password ?? real;
    const said = await new Promise<string>((done) => {
      const words = [...options, '-c', '-n', '10', '-p', String(server.turnPort), '-u', username, '-w', credential, '127.0.0.1'];
      execFile(UCLIENT, words, { timeout: 30_000 }, (_, out, errors) => done(out + errors));
    });
    const refused = /error 420/.test(said) && !/error 403|Total lost packets/.test(said);
    if (!refused || left === 0) return said;
  }
}

for (const [by, options] of [['UDP', []], ['TCP', ['-t']]] as const) {
  test(`a stranger's prober relays from client to client by ${by}`, async ({ name, startServer }) => {
    test.setTimeout(240_000);
    const server = await startServer({ turn: true });
    const said = await probe(server, name, ['-y', ...options]);
    expect(said).toMatch(/tot_send_msgs=20, tot_recv_msgs=20/);
    expect(said).toMatch(/Total lost packets 0 /);
  });
}

test('a stranger\'s prober reaches nobody else by the relay, and nobody at all without the password', async ({ name, startServer }) => {
  test.setTimeout(240_000);
  const server = await startServer({ turn: true });
  for (const peer of ['127.0.0.1', '10.0.0.1', '169.254.169.254', '0.0.0.0', '192.0.2.1', '8.8.8.8']) {
    expect(await probe(server, name, ['-e', peer, '-r', '80']), peer).toMatch(/error 403/);
  }
  expect(await probe(server, name, ['-y'], 'wrong')).toMatch(/Cannot complete Allocation/);
});
