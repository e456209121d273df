import {
  DescribeEndpointCommand,
  DescribeEndpointConfigCommand,
  type DescribeEndpointOutput,
  type SageMakerClient,
} from '@aws-sdk/client-sagemaker'

/** SageMaker answers ValidationException for what does not exist. */
export const isMissing = (error: unknown): boolean => /could not find|not found/i.test((error as Error).message)

/** The endpoint as SageMaker describes it; undefined when there is none. */
export const describeEndpoint = async (
  client: SageMakerClient,
  name: string,
): Promise<DescribeEndpointOutput | undefined> => {
  try {
    return await client.send(new DescribeEndpointCommand({ EndpointName: name }))
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

type Variants = { CurrentInstanceCount?: number | undefined; DesiredInstanceCount?: number | undefined }[]

/** Machines that an endpoint has or is about to have; one that is being made for the first time has one. */
export const instancesOf = (endpoint: DescribeEndpointOutput | undefined): number => {
  if (!endpoint || endpoint.EndpointStatus === 'Failed') return 0
  const variants: Variants = endpoint.ProductionVariants ?? endpoint.PendingDeploymentSummary?.ProductionVariants ?? []
  if (variants.length === 0) return 1
  return variants.reduce(
    (sum, { CurrentInstanceCount: now, DesiredInstanceCount: soon }) => sum + Math.max(now ?? 0, soon ?? 0),
    0,
  )
}

/** Instances of one type that these endpoints run, whoever they belong to: the sum that the account's quota bounds. */
export const instancesOfType = async (
  client: SageMakerClient,
  names: readonly string[],
  instanceType: string,
): Promise<number> => {
  let sum = 0
  for (const name of names) {
    const endpoint = await describeEndpoint(client, name)
    if (!endpoint?.EndpointConfigName) continue
    const { ProductionVariants: chosen = [] } = await client.send(
      new DescribeEndpointConfigCommand({ EndpointConfigName: endpoint.EndpointConfigName }),
    )
    if (endpoint.EndpointStatus === 'Failed') continue
    for (const { VariantName, InstanceType, InitialInstanceCount = 1 } of chosen) {
      const live = endpoint.ProductionVariants?.find((variant) => variant.VariantName === VariantName)
      if (InstanceType === instanceType)
        sum += live ? instancesOf({ ...endpoint, ProductionVariants: [live] }) : InitialInstanceCount
    }
  }
  return sum
}
