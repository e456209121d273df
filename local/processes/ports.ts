import { randomInt } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

type PortName = 'aws' | 'chain'
export type Ports = Record<PortName, number>

/** Below what Linux, macOS and Windows hand out for outgoing connections: there, any of those could take our port while we are down. */
const FIRST = 15_000
const LAST = 32_000
/** A killed predecessor may take a moment to let go of its port. */
const PATIENCE_MS = 10_000

/**
 * Free loopback ports that stay the same over restarts: API URLs that a person wrote down, and those that were deployed,
 * keep working. A remembered port that somebody else took meanwhile is replaced by a free one.
 */
export async function rememberedPorts(file: string, patienceMs = PATIENCE_MS): Promise<Ports> {
  const known = await readPorts(file)
  const aws = await usable(known.aws, patienceMs)
  const ports: Ports = { aws, chain: await usable(known.chain, patienceMs, aws) }
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, `${JSON.stringify(ports)}\n`)
  return ports
}

async function readPorts(file: string): Promise<Partial<Ports>> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Partial<Ports>
  } catch {
    return {}
  }
}

async function usable(remembered: number | undefined, patienceMs: number, other?: number): Promise<number> {
  const deadline = Date.now() + patienceMs
  for (; remembered !== undefined; await sleep(100)) {
    if (await isFree(remembered)) return remembered
    if (Date.now() >= deadline) break
  }
  for (let tries = 0; tries < 100; tries++) {
    const port = randomInt(FIRST, LAST)
    if (port !== other && (await isFree(port))) return port
  }
  throw new Error('no free loopback port')
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', () => resolve(false))
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)))
  })
}
