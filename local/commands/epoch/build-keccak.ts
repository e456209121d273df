/** Compiles kernel.as and writes its bytes to kernel-bytes.ts. Run by hand after a change; a test compares the two. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const KERNEL = join(import.meta.dirname, '../../../functions/settlement/epoch/keccak')

export const compileKernel = (): Uint8Array => {
  const folder = mkdtempSync(join(tmpdir(), 'keccak-'))
  try {
    const asc = join(import.meta.dirname, '../../../node_modules/assemblyscript/bin/asc.js')
    const options = ['-O3', '--noAssert', '--runtime', 'stub', '--enable', 'simd', '--initialMemory', '24']
    const entry = join(folder, 'kernel.ts')
    writeFileSync(entry, readFileSync(join(KERNEL, 'kernel.as')))
    execFileSync(process.execPath, [asc, entry, ...options, '--outFile', join(folder, 'kernel.wasm')], {
      stdio: 'inherit',
    })
    return readFileSync(join(folder, 'kernel.wasm'))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

if (import.meta.main) {
  const base64 = Buffer.from(compileKernel()).toString('base64')
  const source = `/** kernel.as, compiled by local/commands/epoch/build-keccak.ts. */\nexport const KERNEL = Buffer.from(\n  '${base64}',\n  'base64',\n)\n`
  writeFileSync(join(KERNEL, 'kernel-bytes.ts'), source)
}
