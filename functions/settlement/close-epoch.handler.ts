import { Epochs } from '#ledger/epochs.store'
import { apiDoor } from '#runtime/api-door'
import { environment } from '#runtime/environment'
import { startClose } from './close-flow.client.ts'

const env = environment('LEDGER_TABLE', 'EPOCH_STATE_MACHINE_ARN')
const epochs = new Epochs(env.LEDGER_TABLE)

/** Starts the very flow that the schedule starts; two at once close the epoch once. */
export const handler = apiDoor('closeEpoch', async () => {
  const epoch = await epochs.current()
  return { epoch, execution: await startClose(env.EPOCH_STATE_MACHINE_ARN) }
})
