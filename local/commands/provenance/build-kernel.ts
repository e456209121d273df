/** Compiles kernel/*.as and writes the bytes to kernel-bytes.ts. Run by hand after a change; a test compares the two. */
import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const KERNEL = join(import.meta.dirname, '../../../functions/attribution/provenance/kernel')

export const compileKernel = (): Uint8Array => {
  const folder = mkdtempSync(join(tmpdir(), 'provenance-'))
  try {
    for (const name of readdirSync(KERNEL))
      if (name.endsWith('.as')) cpSync(join(KERNEL, name), join(folder, name.replace(/as$/, 'ts')))
    const asc = join(import.meta.dirname, '../../../node_modules/assemblyscript/bin/asc.js')
    const options = ['-O3', '--noAssert', '--runtime', 'stub', '--enable', 'simd', '--outFile', 'kernel.wasm']
    execFileSync(process.execPath, [asc, 'index.ts', ...options], { cwd: folder, stdio: 'inherit' })
    return readFileSync(join(folder, 'kernel.wasm'))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

if (import.meta.main) {
  const base64 = Buffer.from(compileKernel()).toString('base64')
  const source = `/** kernel/*.as, compiled by local/commands/provenance/build-kernel.ts. */\nexport const KERNEL = Buffer.from(\n  '${base64}',\n  'base64',\n)\n`
  writeFileSync(join(KERNEL, 'kernel-bytes.ts'), source)
}
