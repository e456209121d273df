import { join } from 'node:path'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { loadIndexAsync } from '../../../functions/attribution/provenance/index.ts'
import { find, readInto } from '../../../functions/attribution/whole-object.store.ts'
import { Objects } from '../../../functions/registry/objects.store.ts'
import { startEmulator } from '../../../local/emulator/emulator.ts'
import { rememberedPorts } from '../../../local/processes/ports.ts'

/**
 * Seconds from nothing to an open index, as the attribution worker loads a shard: parallel range reads of the embedded
 * AWS's S3 on this machine, then opening with all checksums. The median of three in one process, after one that warms it.
 */
export const loadSeconds = async (index: Uint8Array, folder: string): Promise<{ total: number; read: number }> => {
  const { aws: port } = await rememberedPorts(join(folder, 'ports.json'))
  const emulator = await startEmulator({ port, stateDir: join(folder, 'aws'), logFile: join(folder, 'aws.log') })
  try {
    const client = new S3Client({
      endpoint: emulator.endpoint,
      region: emulator.region,
      forcePathStyle: true,
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
    })
    await client.send(new CreateBucketCommand({ Bucket: 'bench' }))
    const objects = new Objects('bench', client)
    await objects.put('shard.idx', index)
    const loads: { total: number; read: number }[] = []
    for (let i = 0; i < 4; i++) {
      const started = performance.now()
      let read = 0
      const found = await find(objects, 'shard.idx')
      await loadIndexAsync(found.bytes, async (memory) => {
        await readInto(objects, 'shard.idx', found, memory)
        read = performance.now() - started
      })
      loads.push({ total: (performance.now() - started) / 1000, read: read / 1000 })
    }
    return loads.slice(1).sort((a, b) => a.total - b.total)[1]!
  } finally {
    await emulator.stop()
  }
}
