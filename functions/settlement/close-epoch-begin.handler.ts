import * as z from 'zod'
import { Epochs } from '#ledger/epochs.store'
import { environment } from '#runtime/environment'
import { logger } from '#runtime/logger'
import { type Begun, beginClose } from './epoch/begin-close.ts'

const env = environment('LEDGER_TABLE', 'EPOCH_GRACE_SECONDS')
const epochs = new Epochs(env.LEDGER_TABLE)

/** First step of the close: which epoch, and how long its last completions may take. */
export const handler = async (input: unknown): Promise<Begun> => {
  const { reopen } = z.looseObject({ reopen: z.number().int().min(1).optional() }).parse(input)
  const begun = await beginClose(
    {
      current: () => epochs.current(),
      counted: (epoch) => epochs.counted(epoch),
      find: (epoch) => epochs.find(epoch),
      advanceFrom: (epoch) => epochs.advanceFrom(epoch),
    },
    Number(env.EPOCH_GRACE_SECONDS),
    reopen,
  )
  logger.info('epoch close begun', { ...begun })
  return begun
}
