import { chromium } from '@playwright/test';
import { execFile, spawnSync } from 'node:child_process';
import { X509Certificate, createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { launch } from './chromium.ts';

/** Whether openssl is installed. */
export const canCertify = () => spawnSync('openssl', ['version']).status === 0;

/** A self-signed certificate for 127.0.0.1 and its key, as PEM files. */
export interface Certificate {
  chain: string;
  key: string;
  /** SPKI hash, by which Chromium can accept it. */
  fingerprint: string;
}

export async function certify(folder: string): Promise<Certificate> {
  const [chain, key] = [join(folder, 'chain.pem'), join(folder, 'key.pem')];
  const words = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=noom -addext subjectAltName=IP:127.0.0.1';
  await promisify(execFile)('openssl', [...words.split(' '), '-keyout', key, '-out', chain]);
  const { publicKey } = new X509Certificate(await readFile(chain));
  const fingerprint = createHash('sha256').update(publicKey.export({ type: 'spki', format: 'der' })).digest('base64');
  return { chain, key, fingerprint };
}

/** Whether certutil is installed, with which Chromium is made to trust an authority. */
export const canTrust = () => spawnSync('certutil', ['-H']).error === undefined;

/** A home directory in which Chromium trusts the authority of this PEM text. */
async function trustingHome(authority: string): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'noom-home-'));
  const store = join(home, '.pki', 'nssdb');
  await mkdir(store, { recursive: true });
  await writeFile(join(home, 'authority.pem'), authority);
  const certutil = (...words: string[]) => promisify(execFile)('certutil', ['-d', `sql:${store}`, ...words]);
  await certutil('-N', '--empty-password');
  await certutil('-A', '-t', 'C,,', '-n', 'noom', '-i', join(home, 'authority.pem'));
  return home;
}

/** A Chromium that trusts the local authority of this server, and its end. */
export async function trusting(server: { readonly dataDir: string }) {
  const stored = await readFile(join(server.dataDir, 'tls', 'local-authority.pem'), 'utf8');
  const home = await trustingHome(stored.slice(stored.indexOf('-----BEGIN CERTIFICATE-----')));
  const browser = await chromium.launch({ ...launch(), env: { ...process.env, HOME: home } as Record<string, string> });
  const end = async () => {
    await browser.close();
    await rm(home, { recursive: true, force: true });
  };
  return { browser, end };
}

/** Addresses that a local authority may sign for. */
const PRIVATE = /^(10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|f[cd])/;

/** A private address of this machine that is not loopback, as the host of a URL. */
export function privateHost(): string | undefined {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const found = all.find(({ address, internal }) => !internal && PRIVATE.test(address));
  return found && (found.family === 'IPv6' ? `[${found.address}]` : found.address);
}
