import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { dirname } from 'node:path'

type PortName = 'aws' | 'chain'
export type Ports = Record<PortName, number>

/**
 * Free loopback ports that stay the same over restarts: API URLs that a person wrote down keep working. A remembered
 * port that somebody else took meanwhile is replaced by a free one.
 */
export async function rememberedPorts(file: string): Promise<Ports> {
  const known = await readPorts(file)
  const ports: Ports = { aws: await usable(known.aws), chain: await usable(known.chain) }
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

async function usable(remembered: number | undefined): Promise<number> {
  if (remembered !== undefined && (await listen(remembered)) !== undefined) return remembered
  const free = await listen(0)
  if (free === undefined) throw new Error('no free loopback port')
  return free
}

function listen(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', () => resolve(undefined))
    probe.listen(port, '127.0.0.1', () => {
      const address = probe.address()
      const taken = typeof address === 'object' && address ? address.port : undefined
      probe.close(() => resolve(taken))
    })
  })
}
