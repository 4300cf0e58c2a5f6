import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { expect, test } from '../support/test.ts';
import { ProtocolClient } from '../support/protocol_client.ts';
import type { Server } from '../support/server.ts';

/** The test client of coturn; these tests are skipped without it. */
const UCLIENT = '/usr/bin/turnutils_uclient';
test.skip(!existsSync(UCLIENT), 'turnutils_uclient is not installed');

interface Login {
  username: string;
  credential: string;
}

/** Counts probes: each has its own room. */
let logins = 0;

/** Gets TURN credentials from the server, which it gives to people in a call. */
async function login(server: Server, room: string): Promise<Login> {
  const wire = await ProtocolClient.join(server, room, 'Ann');
  wire.send({ type: 'enter_call', leg: 7, devices: { microphone: true, camera: true } });
  const call = await wire.next(({ type }) => type === 'call');
  return call.ice_servers.find(({ username }: Login) => username);
}

/**
 * Runs the client and returns its output. By chance it requests an even port (RFC 8656, section 18.7), which
 * the server refuses (420); it then runs again with new credentials, because its allocations count.
 */
async function probe(server: Server, room: string, options: string[], password?: string): Promise<string> {
  for (let left = 30; ; left -= 1) {
    const { username, credential: real } = await login(server, `${room} ${(logins += 1)}`);
    const credential = password ?? real;
    const output = await new Promise<string>((done) => {
      const words = [...options, '-c', '-n', '10', '-p', String(server.turnPort), '-u', username, '-w', credential, '127.0.0.1'];
      execFile(UCLIENT, words, { timeout: 30_000 }, (_, out, errors) => done(out + errors));
    });
    const refused = /error 420/.test(output) && !/error 403|Total lost packets/.test(output);
    if (!refused || left === 0) return output;
  }
}

for (const [by, options] of [['UDP', []], ['TCP', ['-t']]] as const) {
  test(`coturn's client relays from client to client by ${by}`, async ({ name, startServer }) => {
    test.setTimeout(240_000);
    const server = await startServer({ turn: true });
    const output = await probe(server, name, ['-y', ...options]);
    expect(output).toMatch(/tot_send_msgs=20, tot_recv_msgs=20/);
    expect(output).toMatch(/Total lost packets 0 /);
  });
}

test('coturn\'s client relays to no other address, and not without the password', async ({ name, startServer }) => {
  test.setTimeout(240_000);
  const server = await startServer({ turn: true });
  for (const peer of ['127.0.0.1', '10.0.0.1', '169.254.169.254', '0.0.0.0', '192.0.2.1', '8.8.8.8']) {
    expect(await probe(server, name, ['-e', peer, '-r', '80']), peer).toMatch(/error 403/);
  }
  expect(await probe(server, name, ['-y'], 'wrong')).toMatch(/Cannot complete Allocation/);
});
