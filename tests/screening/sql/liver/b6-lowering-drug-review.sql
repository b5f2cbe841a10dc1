(coalesce(bool_or(marker = 'liver/alt' AND age <= 7776000000), false)
  AND (coalesce(bool_or(marker = 'liver/alt' AND age <= 8035200000 AND high <= 5000000), false)
    AND coalesce(bool_or(fact IN ('liver/on-b6-lowering-drug', 'liver/on-isoniazid', 'liver/on-levodopa-or-carbidopa')), false)))
