import fc from 'fast-check'
import { createKeccak } from 'hash-wasm'
import { beforeAll, describe, expect, it } from 'vitest'
import { LONGEST, loadKernel } from '../../../functions/settlement/epoch/keccak/kernel.ts'
import { KERNEL } from '../../../functions/settlement/epoch/keccak/kernel-bytes.ts'
import { compileKernel } from '../../../local/commands/epoch/build-keccak.ts'

describe('the batch Keccak kernel', () => {
  let batch: Awaited<ReturnType<typeof loadKernel>>
  let plain: (bytes: Uint8Array) => string
  beforeAll(async () => {
    batch = await loadKernel()
    const hash = await createKeccak(256)
    plain = (bytes) => hash.init().update(bytes).digest('hex')
  })
  const agrees = (messages: Uint8Array, bytes: number, count: number) => {
    const hashes = Buffer.from(batch(messages, bytes, count))
    for (let i = 0; i < count; i++)
      expect(hashes.toString('hex', i * 32, i * 32 + 32)).toBe(plain(messages.subarray(i * bytes, (i + 1) * bytes)))
  }

  it('hashes as hash-wasm does, any length it takes, odd and even counts', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: LONGEST }),
        fc.integer({ min: 1, max: 5 }),
        fc.uint8Array({ minLength: LONGEST * 5, maxLength: LONGEST * 5 }),
        (bytes, count, data) => {
          agrees(data.subarray(0, bytes * count), bytes, count)
        },
      ),
      { numRuns: 200 },
    )
  })
  it('goes on over its chunks', () => {
    agrees(
      Uint8Array.from({ length: 64 * 8195 }, (_, i) => i * 31),
      64,
      8195,
    )
  })
  it('refuses what does not fit a block', () => {
    expect(() => batch(new Uint8Array(128), 128, 1)).toThrow(RangeError)
  })
  it('is what kernel.as compiles to', () => {
    expect(Buffer.from(compileKernel()).equals(KERNEL)).toBe(true)
  }, 60_000)
})
