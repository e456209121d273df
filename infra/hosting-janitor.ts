import { CustomResource, Duration } from 'aws-cdk-lib'
import type { Construct } from 'constructs'
import type { Environment } from '#schema/env'
import { House } from './constructs/house.ts'
import { HouseFunction } from './constructs/house-function.ts'
import { HouseSchedule } from './constructs/schedule.ts'
import type { Storage } from './storage.ts'

/** Takes down what failed, idles or belongs to nobody; and everything, when the stack goes. */
export const hostingJanitor = (
  scope: Construct,
  props: { storage: Storage; endpointPrefix: string; ownResources: string[]; influenceInstances: Environment },
): { sweep: HouseFunction; removeAll: HouseFunction } => {
  const { storage, endpointPrefix, ownResources, influenceInstances } = props
  const { hosting } = House.of(scope).config
  const remove = [
    'sagemaker:DeleteEndpoint',
    'sagemaker:DeleteEndpointConfig',
    'sagemaker:DeleteModel',
    'sagemaker:DescribeEndpoint',
    'sagemaker:ListTags',
  ]
  const sweep = new HouseFunction(scope, 'SweepHosting', {
    door: 'open-lora/sweep-hosting',
    description: 'Counts instance-hours, takes down failed, orphaned and idle endpoints',
    environment: {
      REGISTRY_TABLE: storage.registry.tableName,
      ENDPOINT_PREFIX: endpointPrefix,
      HOSTING_IDLE_MINUTES: String(hosting.idleMinutes),
      HOSTING_DAILY_HOURS: String(hosting.dailyInstanceHours),
      HOSTING_OVER_BUDGET: hosting.overBudget,
      ...influenceInstances,
    },
    timeout: Duration.minutes(2),
  })
    .allow(remove, ownResources)
    .allow(['sagemaker:ListEndpoints'], ['*'])
    .allow(
      ['dynamodb:GetItem', 'dynamodb:Query'],
      [storage.registry.tableArn, `${storage.registry.tableArn}/index/GSI1`],
    )
    .allow(['dynamodb:PutItem', 'dynamodb:UpdateItem'], [storage.registry.tableArn], {
      'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': ['HOSTING#*'] },
    })
  new HouseSchedule(scope, 'SweepSchedule', {
    expression: 'rate(5 minutes)',
    target: sweep,
    description: 'Janitor of the serving endpoints',
    errorImpact: 'Endpoints that nobody uses go on costing money.',
  })

  const removeAll = new HouseFunction(scope, 'RemoveEndpoints', {
    door: 'open-lora/remove-endpoints',
    description: 'With the stack go the endpoints that it started',
    environment: { REGISTRY_TABLE: storage.registry.tableName, ENDPOINT_PREFIX: endpointPrefix, ...influenceInstances },
    timeout: Duration.minutes(15),
  })
    .allow(remove, ownResources)
    .allow(['sagemaker:ListEndpoints'], ['*'])
    .allow(['dynamodb:PutItem'], [storage.registry.tableArn], {
      'ForAllValues:StringEquals': { 'dynamodb:LeadingKeys': ['HOSTING#gate'] },
    })
  const endpoints = new CustomResource(scope, 'Endpoints', {
    serviceToken: removeAll.functionArn,
    resourceType: 'Custom::Endpoints',
  })
  // Taken down first: its function still has its grants then, and the roles that the containers run under are there.
  endpoints.node.addDependency(removeAll.role!)
  endpoints.node.addDependency(scope.node.findChild('HostingRole'), scope.node.findChild('InfluenceRole'))
  return { sweep, removeAll }
}
