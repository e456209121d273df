import { ExecutionAlreadyExists, SFNClient, StartExecutionCommand } from '@aws-sdk/client-sfn'

const client = new SFNClient({})

/**
 * Starts the flow that brings a sleeping pool up again: its name is the pool and the minute, so a thousand requests that
 * find it asleep start one.
 */
export const wakePool = async (
  stateMachineArn: string,
  pool: { baseId: string; bucket: number },
  nowSeconds: number,
): Promise<void> => {
  try {
    await client.send(
      new StartExecutionCommand({
        stateMachineArn,
        name: `${pool.baseId.replaceAll('.', '_').slice(0, 60)}-r${pool.bucket}-${Math.floor(nowSeconds / 60)}`,
        input: JSON.stringify({ baseId: pool.baseId, rank: pool.bucket }),
      }),
    )
  } catch (error) {
    if (!(error instanceof ExecutionAlreadyExists)) throw error
  }
}
