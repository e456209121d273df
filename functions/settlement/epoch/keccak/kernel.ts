import { KERNEL } from './kernel-bytes.ts'

/** Most bytes of a message: the kernel takes messages shorter than one block with its padding. */
export const LONGEST = 127
/** The kernel's own memory lies below; chunks of messages and of hashes above. 24 pages of 64 KiB in all. */
const MESSAGES = 4096
const HASHES = 1_048_576
const CHUNK = 8192

interface Exports {
  memory: WebAssembly.Memory
  hashes(from: number, bytes: number, count: number, to: number): void
}

/** Batch Keccak-256 of messages of equal, short length; results are 32 bytes each, in order. */
export const loadKernel = async (): Promise<(messages: Uint8Array, bytes: number, count: number) => Uint8Array> => {
  const { instance } = await WebAssembly.instantiate(KERNEL)
  const { memory, hashes } = instance.exports as unknown as Exports
  const space = new Uint8Array(memory.buffer)
  return (messages, bytes, count) => {
    if (bytes > LONGEST)
      throw new RangeError(`a message of the batch kernel has at most ${LONGEST} bytes, not ${bytes}`)
    const result = new Uint8Array(count * 32)
    for (let done = 0; done < count; done += CHUNK) {
      const now = Math.min(CHUNK, count - done)
      space.set(messages.subarray(done * bytes, (done + now) * bytes), MESSAGES)
      hashes(MESSAGES, bytes, now, HASHES)
      result.set(space.subarray(HASHES, HASHES + now * 32), done * 32)
    }
    return result
  }
}
