import type { CloudFormationCustomResourceEvent, Context } from 'aws-lambda'
import { Records } from '#registry/records.store'
import { now } from '#runtime/clock'
import { environment } from '#runtime/environment'
import { logger } from '#runtime/logger'
import { answerCloudFormation } from './cloudformation.client.ts'
import { EndpointScaling } from './endpoint-scaling.client.ts'
import { fleetOf } from './fleet.ts'
import { Hosting } from './hosting.client.ts'
import { HostingGate } from './hosting-gate.store.ts'
import { removeAll } from './remove-all.ts'

const env = environment('REGISTRY_TABLE', 'ENDPOINT_PREFIX', 'INFLUENCE_MIN_INSTANCES', 'INFLUENCE_MAX_INSTANCES')
const hosting = new Hosting({
  prefix: env.ENDPOINT_PREFIX,
  instanceType: '',
  maxEndpoints: 0,
  accountQuota: 0,
})
const scaling = new EndpointScaling({
  min: Number(env.INFLUENCE_MIN_INSTANCES),
  max: Number(env.INFLUENCE_MAX_INSTANCES),
})
const fleet = fleetOf(hosting, scaling)
const gate = new HostingGate(new Records(env.REGISTRY_TABLE))
/** Left to answer CloudFormation in, which otherwise waits an hour for nothing. */
const ANSWER_MS = 20_000

/** Custom resource: made with the stack, and when the stack goes, nothing that it started goes on running. */
export const handler = async (event: CloudFormationCustomResourceEvent, context: Context): Promise<void> => {
  let reason: string | undefined
  try {
    const goes = event.RequestType === 'Delete'
    // First of all, whatever CloudFormation deletes before or beside this: a flow that runs on makes nothing any more.
    await gate.set(!goes, now()).catch((error) => logger.error('the gate was not set', { error: error as Error }))
    if (goes) await removeAll(fleet, () => context.getRemainingTimeInMillis() - ANSWER_MS > 0)
  } catch (error) {
    logger.error('endpoints are left', { error: error as Error })
    reason = (error as Error).message
  }
  await answerCloudFormation(event, reason)
}
