import { Epochs } from '#ledger/epochs.store'
import { apiDoor } from '#runtime/api-door'
import { environment } from '#runtime/environment'
import { logger } from '#runtime/logger'
import { startClose } from './close-flow.client.ts'
import { mustBeVetoed } from './epoch/begin-close.ts'

const env = environment('LEDGER_TABLE', 'EPOCH_STATE_MACHINE_ARN')
const epochs = new Epochs(env.LEDGER_TABLE)

/** Starts the very flow that the schedule starts; two at once close the epoch once. Only a vetoed epoch can be reopened. */
export const handler = apiDoor('closeEpoch', async ({ query: { reopen }, caller }) => {
  if (reopen === undefined)
    return { epoch: await epochs.current(), execution: await startClose(env.EPOCH_STATE_MACHINE_ARN) }
  mustBeVetoed(reopen, await epochs.find(reopen))
  logger.warn('vetoed epoch reopened', { epoch: reopen, by: caller.accountId })
  return { epoch: reopen, execution: await startClose(env.EPOCH_STATE_MACHINE_ARN, { reopen }) }
})
