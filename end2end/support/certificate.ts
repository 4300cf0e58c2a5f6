import { execFile, spawnSync } from 'node:child_process';
import { X509Certificate, createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

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
