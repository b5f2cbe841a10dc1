(coalesce(bool_or(marker = 'liver/alt' AND age <= 7776000000), false)
  AND coalesce(bool_or(marker = 'liver/alt' AND age <= 39571200000 AND method = 'with P5P'), false))
