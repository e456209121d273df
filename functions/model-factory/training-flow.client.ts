import { ExecutionAlreadyExists, SFNClient, StartExecutionCommand } from '@aws-sdk/client-sfn'

const client = new SFNClient({})

/** Starts the flow of one attempt; the same attempt again finds its own execution. */
export const startFlow = async (stateMachineArn: string, trainingId: string, attempt: number): Promise<void> => {
  try {
    await client.send(
      new StartExecutionCommand({
        stateMachineArn,
        name: `${trainingId}-${attempt}`,
        input: JSON.stringify({ trainingId, attempt }),
      }),
    )
  } catch (error) {
    if (!(error instanceof ExecutionAlreadyExists)) throw error
  }
}
