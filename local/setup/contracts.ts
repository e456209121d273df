import { createHash } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { build } from '../../contracts/script/build.ts'
import { repository } from '../paths.ts'

const CONTRACTS = join(repository, 'contracts')
const STAMP = join(CONTRACTS, 'out', 'openledger-setup.json')

/** Compiles the contracts when their sources changed since the last time. */
export async function ensureContracts(note: (line: string) => void): Promise<void> {
  const wanted = await fingerprint()
  if ((await readFile(STAMP, 'utf8').catch(() => '')) === wanted) return
  note('compiling the contracts with forge')
  build()
  await writeFile(STAMP, wanted)
}

async function fingerprint(): Promise<string> {
  const hash = createHash('sha256')
  const files = await readdir(join(CONTRACTS, 'src'), { recursive: true, withFileTypes: true })
  const sources = files.filter((file) => file.isFile()).map((file) => join(file.parentPath, file.name))
  for (const file of [...sources.sort(), join(CONTRACTS, 'foundry.toml')]) hash.update(await readFile(file))
  return hash.digest('hex')
}
