// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IModelRegistry} from "./interfaces/IModelRegistry.sol";

/// @dev The one thing this registry asks Settlement: the last active epoch.
interface IEpochClock {
    function state() external view returns (uint64 epoch, uint40, uint40, uint40, uint40);
}

/// @title Record of adapters (specified in IModelRegistry).
contract ModelRegistry is IModelRegistry {
    struct SplitFrom {
        uint64 fromEpoch;
        Split split;
    }

    /// @dev Epoch `active + 1` may be open or pending under the old split.
    uint64 private constant NOTICE = 2;

    IEpochClock public immutable clock;
    mapping(bytes32 id => Adapter) private _adapters;
    mapping(bytes32 id => address) public pendingOwner;
    mapping(bytes32 id => SplitFrom[]) private _splits;

    constructor(IEpochClock clock_) {
        clock = clock_;
    }

    /// @inheritdoc IModelRegistry
    function register(bytes32 id, Adapter calldata adapter_, Split calldata split) external {
        if (id == 0) revert ZeroId();
        if (
            adapter_.base == 0 || adapter_.artefactHash == 0 || adapter_.methodHash == 0 || adapter_.parameterHash == 0
        ) revert ZeroHash();
        if (adapter_.datanetRoots.length == 0) revert NoDatanets();
        for (uint256 i = 0; i < adapter_.datanetRoots.length; ++i) {
            if (adapter_.datanetRoots[i] == 0) revert ZeroHash();
        }
        if (_adapters[id].owner != address(0)) revert AdapterExists(id);
        _checkSplit(split);
        _adapters[id] = adapter_;
        _adapters[id].owner = msg.sender;
        _splits[id].push(SplitFrom(0, split));
        emit AdapterRegistered(id, msg.sender, adapter_.base, adapter_.artefactHash);
        emit SplitSet(id, 0, split);
    }

    /// @inheritdoc IModelRegistry
    function setSplit(bytes32 id, uint64 fromEpoch, Split calldata split) external {
        _checkOwner(id);
        _checkSplit(split);
        (uint64 active,,,,) = clock.state();
        SplitFrom[] storage list = _splits[id];
        uint64 last = list[list.length - 1].fromEpoch;
        uint64 earliest = active + NOTICE > last ? active + NOTICE : last;
        if (fromEpoch < earliest) revert EpochNotLater(earliest, fromEpoch);
        if (fromEpoch == last) list[list.length - 1].split = split;
        else list.push(SplitFrom(fromEpoch, split));
        emit SplitSet(id, fromEpoch, split);
    }

    /// @inheritdoc IModelRegistry
    function offerOwnership(bytes32 id, address to) external {
        _checkOwner(id);
        pendingOwner[id] = to;
        emit OwnershipOffered(id, to);
    }

    /// @inheritdoc IModelRegistry
    function acceptOwnership(bytes32 id) external {
        if (pendingOwner[id] != msg.sender) revert NotOffered(id, msg.sender);
        pendingOwner[id] = address(0);
        _adapters[id].owner = msg.sender;
        emit OwnerChanged(id, msg.sender);
    }

    /// @inheritdoc IModelRegistry
    function adapter(bytes32 id) external view returns (Adapter memory) {
        if (_adapters[id].owner == address(0)) revert UnknownAdapter(id);
        return _adapters[id];
    }

    /// @inheritdoc IModelRegistry
    function splitAt(bytes32 id, uint64 epoch) external view returns (Split memory) {
        SplitFrom[] storage list = _splits[id];
        for (uint256 i = list.length; i > 0; --i) {
            if (list[i - 1].fromEpoch <= epoch) return list[i - 1].split;
        }
        revert NoSplit(id, epoch);
    }

    function _checkOwner(bytes32 id) private view {
        address owner = _adapters[id].owner;
        if (owner == address(0)) revert UnknownAdapter(id);
        if (owner != msg.sender) revert NotOwner(id, msg.sender);
    }

    function _checkSplit(Split calldata split) private pure {
        uint256 sum = uint256(split.owner) + split.stakers + split.contributors;
        if (sum != 10_000) revert SplitInvalid(sum);
        if (split.stakers != 0 && split.stakersPayee == address(0)) revert StakersWithoutPayee();
    }
}
