/** A certificate that nobody has signed, for servers that speak TLS. */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"

export const hasOpenssl = spawnSync("openssl", ["version"], { stdio: "ignore" }).status === 0

/** A title for tests that need a certificate: says why they are not run where none can be made. */
export const titled = (title: string): string =>
  hasOpenssl ? title : `${title} (not run: there is no openssl to make a certificate with)`

/** PostgreSQL refuses a key that others may read, and runs as this user when we are root. */
const unprivileged = 65_534

/** The files of a certificate for a name, made in a folder; nothing if there is no openssl. */
export const make = (folder: string, name: string): { readonly cert: string; readonly key: string } | undefined => {
  const cert = path.join(folder, `${name}.crt`)
  const key = path.join(folder, `${name}.key`)
  const subject = ["-subj", `/CN=${name}`, "-addext", `subjectAltName=DNS:${name}`]
  const args = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key, "-out", cert, ...subject]
  if (spawnSync("openssl", args, { stdio: "ignore" }).status !== 0) return undefined
  fs.chmodSync(key, 0o600)
  if (process.getuid?.() === 0) fs.chownSync(key, unprivileged, unprivileged)
  return { cert, key }
}

/** PostgreSQL's settings for it. */
export const postgresSettings = ({ cert, key }: { readonly cert: string; readonly key: string }) => ({
  ssl: "on",
  ssl_cert_file: cert,
  ssl_key_file: key
})
